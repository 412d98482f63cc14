// The benchmark's worker for kafkajs 2.2.4. It has no accumulator: each send() is a request to each broker it touches, so many records a
// call and several calls at a time are its best. Its idempotent producer keeps one request a broker in flight.
// From: run.ts has it forked. To: ../support/worker.ts.

import { createRequire } from 'node:module'
import { Kafka, logLevel } from 'kafkajs'
import type { Job } from '../support/job.ts'
import { type BenchClient, batchedCalls, naiveLoops, serve } from '../support/worker.ts'

const { version } = createRequire(import.meta.url)('kafkajs/package.json') as { version: string }
const ALL = -1

// Version 2 says at every start that its partitioner is not that of version 1.
Object.assign(process.env, { KAFKAJS_NO_PARTITIONER_WARNING: '1' })

async function open(job: Job): Promise<BenchClient> {
  const kafka = new Kafka({ brokers: job.bootstrapServers.split(','), logLevel: logLevel.ERROR })
  const producer = kafka.producer({ idempotent: job.idempotent, allowAutoTopicCreation: false })
  await producer.connect()
  return {
    client: 'kafkajs',
    version,
    modes: {
      batches: (run) =>
        batchedCalls(run, (first, count) => {
          const messages = Array.from({ length: count }, (_, i) => ({ value: run.value(first + i) }))
          return producer.send({ topic: run.topic, acks: ALL, messages })
        }),
      'batches keyed': (run) =>
        batchedCalls(run, (first, count) => {
          const messages = Array.from({ length: count }, (_, i) => ({
            key: run.key(first + i),
            value: run.value(first + i),
          }))
          return producer.send({ topic: run.topic, acks: ALL, messages })
        }),
      naive: (run) =>
        naiveLoops(run, (index) =>
          producer.send({ topic: run.topic, acks: ALL, messages: [{ value: run.value(index) }] }),
        ),
    },
    close: () => producer.disconnect(),
  }
}

serve(open)
