// Closes while the only broker says nothing: the process must end by itself, at once.
import { type KafkaError, Producer } from '../../../src/index.ts'

const producer = new Producer({ bootstrapServers: process.argv[2]! })
const sent = producer.send({ topic: 'orders', value: 'v' }).catch((error: KafkaError) => error.code)
await new Promise((resolve) => setImmediate(resolve))
const { abandoned } = await producer.close({ timeoutMs: 20 })
console.log(`${await sent} abandoned ${abandoned}`)
