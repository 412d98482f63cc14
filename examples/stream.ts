// Lines from standard input, one record each: `npm run example examples/stream.ts < access.log`. The stream takes lines only as fast as
// Kafka does, so a file of any length passes through bounded memory; the pipeline ends when the last line is confirmed.

import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { Producer } from 'kafka-wire'

const { KAFKA_BOOTSTRAP_SERVERS = 'localhost:9092' } = process.env

const producer = new Producer({ bootstrapServers: KAFKA_BOOTSTRAP_SERVERS })

try {
  await pipeline(createInterface({ input: process.stdin }), producer.writable({ topic: 'log-lines' }))
  console.log(`${producer.metrics().recordDeliveredTotal} lines delivered`)
} finally {
  await producer.close()
}
