// 10 requests at the same time, of 500 records each, and one record by itself; prints how many were taken.
const AWS = require('aws-sdk')

async function main() {
  const kinesis = new AWS.Kinesis({endpoint: process.env.AWS_ENDPOINT_URL, region: 'eu-west-1'}) // v2 knows no AWS_ENDPOINT_URL
  const {StreamNames} = await kinesis.listStreams().promise()
  if (!StreamNames.includes('clicks')) throw new Error(StreamNames)
  await kinesis.waitFor('streamExists', {StreamName: 'clicks'}).promise()
  const puts = [...Array(10).keys()].map(async batch => {
    const Records = [...Array(500).keys()].map(n => (
      {Data: JSON.stringify({id: 'js v2', n: batch * 500 + n}), PartitionKey: String(n)}))
    return 500 - (await kinesis.putRecords({StreamName: 'clicks', Records}).promise()).FailedRecordCount
  })
  const taken = (await Promise.all(puts)).reduce((a, b) => a + b)
  await kinesis.putRecord({StreamName: 'clicks', Data: '{"id":"js v2","n":5000}', PartitionKey: 'a'}).promise()
  const missing = await kinesis.putRecord({StreamName: 'nothing', Data: 'x', PartitionKey: 'a'}).promise().catch(e => e)
  if (missing.code !== 'ResourceNotFoundException' || !missing.message.includes('not found')) throw missing
  console.log(taken + 1)
}

main()
