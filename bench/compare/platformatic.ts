// The benchmark's worker for @platformatic/kafka 2.12.1. Its send() has no accumulator: each call is a request to each broker it touches;
// its stream gathers `batchSize` records a request. Its idempotent producer sets one request in flight by itself, otherwise five.
// From: run.ts has it forked. To: ../support/worker.ts.

import { createRequire } from 'node:module'
import { Producer } from '@platformatic/kafka'
import type { Job } from '../support/job.ts'
import { type BenchClient, batchedCalls, naiveLoops, type Run, serve } from '../support/worker.ts'

const ALL = -1

async function open(job: Job): Promise<BenchClient> {
  const producer = new Producer({
    clientId: 'bench',
    bootstrapBrokers: job.bootstrapServers.split(','),
    acks: ALL,
    idempotent: job.idempotent,
    autocreateTopics: false,
  })
  await producer.metadata({ topics: [job.topic] })
  if (job.idempotent) await producer.initIdempotentProducer({})
  return {
    client: '@platformatic/kafka',
    version: installedVersion(),
    modes: {
      batches: (run) =>
        batchedCalls(run, (first, count) => {
          const messages = Array.from({ length: count }, (_, i) => ({ topic: run.topic, value: run.value(first + i) }))
          return producer.send({ messages })
        }),
      'batches keyed': (run) =>
        batchedCalls(run, (first, count) => {
          const messages = Array.from({ length: count }, (_, i) => ({
            topic: run.topic,
            key: run.key(first + i),
            value: run.value(first + i),
          }))
          return producer.send({ messages })
        }),
      stream: (run) => streamAll(producer, run),
      naive: (run) =>
        naiveLoops(run, (index) => producer.send({ messages: [{ topic: run.topic, value: run.value(index) }] })),
    },
    close: () => producer.close(),
  }
}

/** Its own way to gather records handed over one by one; times are not told per record. */
function streamAll(producer: Producer<Buffer, Buffer, Buffer, Buffer>, run: Run): Promise<void> {
  const stream = producer.asStream({ batchSize: run.perCall, batchTime: 5, highWaterMark: run.perCall * 4 })
  return new Promise((resolve, reject) => {
    stream.once('error', reject)
    stream.on('flush', ({ count }: { count: number }) => {
      run.settled += count
    })
    const loop = async (): Promise<void> => {
      for (let i = 0; i < run.count; i++) {
        const room = stream.write({ topic: run.topic, value: run.value(run.first + i) })
        if (!room) await new Promise((drained) => stream.once('drain', drained))
      }
      stream.end(resolve)
    }
    loop().catch(reject)
  })
}

/** It does not export its package.json, which lies two folders above its entry. */
function installedVersion(): string {
  const require = createRequire(import.meta.url)
  const entry = require.resolve('@platformatic/kafka')
  return (require(new URL('../package.json', `file://${entry}`).pathname) as { version: string }).version
}

serve(open)
