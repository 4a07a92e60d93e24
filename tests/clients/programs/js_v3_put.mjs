// 10 requests at the same time, of 500 records each, and one record by itself; prints how many were taken.
import { KinesisClient, ListStreamsCommand, PutRecordCommand, PutRecordsCommand } from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'

const kinesis = new KinesisClient({ requestHandler: new NodeHttpHandler() })
const { StreamNames } = await kinesis.send(new ListStreamsCommand({}))
if (!StreamNames.includes('clicks')) throw new Error(StreamNames)
const puts = [...Array(10).keys()].map(async batch => {
  const Records = [...Array(500).keys()].map(n => (
    { Data: Buffer.from(JSON.stringify({ id: 'js v3', n: batch * 500 + n })), PartitionKey: String(n) }))
  return 500 - (await kinesis.send(new PutRecordsCommand({ StreamName: 'clicks', Records }))).FailedRecordCount
})
const taken = (await Promise.all(puts)).reduce((a, b) => a + b)
await kinesis.send(new PutRecordCommand({ StreamName: 'clicks', Data: Buffer.from('{"id":"js v3","n":5000}'), PartitionKey: 'a' }))
const missing = await kinesis
  .send(new PutRecordCommand({ StreamName: 'nothing', Data: Buffer.from('x'), PartitionKey: 'a' })).catch(e => e)
if (missing.name !== 'ResourceNotFoundException' || !missing.message.includes('not found')) throw missing
console.log(taken + 1)
