// A hundred sends, then one flush: when it resolves, Kafka has confirmed all of them.

import { Producer } from 'kafka-wire'

const { KAFKA_BOOTSTRAP_SERVERS = 'localhost:9092' } = process.env

const producer = new Producer({ bootstrapServers: KAFKA_BOOTSTRAP_SERVERS })

// Send some messages
const sends = []
for (let i = 0; i < 100; i++) {
  sends.push(producer.send({ topic: 'my-topic', value: 'some_message_bytes' }))
}

// Flush the messages. The promises stand beside it, so that a failed one ends the script with its reason.
const [report] = await Promise.all([producer.flush(), ...sends])
console.log(`${report.delivered} delivered, ${report.failed} failed`)

await producer.close()
