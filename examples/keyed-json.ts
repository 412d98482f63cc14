// Five keyed JSON records, each with its callbacks: configure, send, handle the outcome, flush, close.

import { jsonSerializer, type KafkaError, Producer, stringSerializer } from 'kafka-wire'

const { KAFKA_BOOTSTRAP_SERVERS = 'localhost:9092' } = process.env

const producer = new Producer({
  bootstrapServers: KAFKA_BOOTSTRAP_SERVERS,
  keySerializer: stringSerializer,
  valueSerializer: jsonSerializer,
  acks: 'all', // strong durability: wait for all in-sync replicas
})

const topic = 'example-topic'

for (let i = 0; i < 5; i++) {
  producer.send({ topic, key: `key-${i}`, value: { count: i } }).then(
    (metadata) => console.log(`Sent to ${metadata.topic} partition ${metadata.partition} offset ${metadata.offset}`),
    (error: KafkaError) => {
      console.error(`Send error: ${error.message}`)
      process.exitCode = 1
    },
  )
}

await producer.flush()
await producer.close()
