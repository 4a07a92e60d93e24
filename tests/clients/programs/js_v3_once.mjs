// One record, signed with a clock that is OFFSET_MS wrong, and changed on the way if TAMPER is set; prints what came of it.
import { KinesisClient, PutRecordCommand } from '@aws-sdk/client-kinesis'

const kinesis = new KinesisClient({ maxAttempts: 1, systemClockOffset: Number(process.env.OFFSET_MS || 0) })
if (process.env.TAMPER) {
  kinesis.middlewareStack.add(next => args => {
    args.request.body = args.request.body.replace('clicks', 'Clicks')
    return next(args)
  }, { step: 'deserialize', priority: 'low', name: 'tamper' })
}
const put = new PutRecordCommand({ StreamName: 'clicks', Data: Buffer.from('{"id":"signed"}'), PartitionKey: 'a' })
console.log(await kinesis.send(put).then(() => 'taken', error => error.name))
process.exit() // not when the connection of HTTP/2 ends
