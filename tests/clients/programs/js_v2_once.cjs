// One record, signed with a clock that is OFFSET_MS wrong, and changed on the way if TAMPER is set; prints what came of it.
const AWS = require('aws-sdk')

const kinesis = new AWS.Kinesis({
  endpoint: process.env.AWS_ENDPOINT_URL, region: 'eu-west-1', maxRetries: 0,
  systemClockOffset: Number(process.env.OFFSET_MS || 0)})
const request = kinesis.putRecord({StreamName: 'clicks', Data: '{"id":"signed"}', PartitionKey: 'a'})
if (process.env.TAMPER) {
  request.on('sign', ({httpRequest}) => { httpRequest.body = httpRequest.body.replace('clicks', 'Clicks') })
}
request.promise().then(() => console.log('taken'), error => console.log(error.code))
