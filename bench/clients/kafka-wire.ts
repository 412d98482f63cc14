// The benchmark's worker for this project's own producer, all defaults. From: runner.ts forks it. To: support/worker.ts.

import packageJson from '../../package.json' with { type: 'json' }
import { type KafkaError, Producer } from '../../src/index.ts'
import type { Job } from '../support/job.ts'
import { type BenchClient, batchedCalls, isSample, naiveLoops, type Run, serve } from '../support/worker.ts'

/** How often a loop of `send` asks whether to pause: `ready` is a promise, and a promise a record would be a second one. */
const SENDS_BETWEEN_READY = 256

async function open(job: Job): Promise<BenchClient> {
  const producer = new Producer({ bootstrapServers: job.bootstrapServers, enableIdempotence: job.idempotent })
  await producer.connect()
  return {
    client: 'kafka-wire',
    version: packageJson.version,
    modes: {
      callback: (run) => enqueueAll(producer, run, false),
      'callback keyed': (run) => enqueueAll(producer, run, true),
      send: (run) => sendAll(producer, run),
      naive: (run) => naiveLoops(run, (index) => producer.send({ topic: run.topic, value: run.value(index) })),
      sendMany: (run) =>
        batchedCalls(run, (first, count) =>
          producer.sendMany(
            Array.from({ length: count }, (_, i) => ({ topic: run.topic, value: run.value(first + i) })),
          ),
        ),
    },
    close: () => producer.close(),
  }
}

/** `enqueue` with one callback for all records, paced by what it answers. */
function enqueueAll(producer: Producer, run: Run, keyed: boolean): Promise<void> {
  const { topic, first, count, value, key } = run
  const startedAt = new Float64Array(Math.ceil(count / 64))
  return new Promise((resolve, reject) => {
    const onDelivery = (error: KafkaError | null, _metadata: unknown, i: number): void => {
      if (error !== null) {
        reject(error)
        return
      }
      if (isSample(i)) run.latencies.record(performance.now() - startedAt[i >> 6]!)
      if (++run.settled === count) resolve()
    }
    const loop = async (): Promise<void> => {
      for (let i = 0; i < count; i++) {
        if (isSample(i)) startedAt[i >> 6] = performance.now()
        const index = first + i
        const record = keyed ? { topic, key: key(index), value: value(index) } : { topic, value: value(index) }
        if (!producer.enqueue(record, onDelivery, i)) await producer.ready()
      }
    }
    loop().catch(reject)
  })
}

/** A promise a record, looked at when it settles, paced by `ready`. */
function sendAll(producer: Producer, run: Run): Promise<void> {
  const { topic, first, count, value } = run
  return new Promise((resolve, reject) => {
    const delivered = (): void => {
      if (++run.settled === count) resolve()
    }
    const loop = async (): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const sent = producer.send({ topic, value: value(first + i) })
        if (isSample(i)) {
          const startedAt = performance.now()
          sent.then(() => {
            run.latencies.record(performance.now() - startedAt)
            delivered()
          }, reject)
        } else {
          sent.then(delivered, reject)
        }
        if (i % SENDS_BETWEEN_READY === 0) await producer.ready()
      }
    }
    loop().catch(reject)
  })
}

serve(open)
