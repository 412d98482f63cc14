// Never closes its producer: the process must end as soon as nothing is pending, and not before.
import { Producer, type RecordMetadata } from '../../../src/index.ts'

const [address, what] = process.argv.slice(2)
const producer = new Producer({ bootstrapServers: address! })
const record = { topic: 'orders', value: 'v' }
const report = ({ topic, partition, offset }: RecordMetadata) =>
  console.log(`sent to ${topic} ${partition} offset ${offset}`)

if (what === 'await') report(await producer.send(record))
if (what === 'enqueue')
  producer.enqueue(record, (error, metadata) => (error === null ? report(metadata!) : console.error(error)))
