// Stage: the producers of a test against a real Kafka. They log here and not to the console, and are closed when the test is over; what
// must not happen whatever the test is about (an error in the log that nobody expected, records given up at the end) is looked for then.
// From: test/integration.
import { afterEach, expect } from 'vitest'
import { KafkaError, Producer, type ProducerOptions } from '../../../src/index.ts'
import type { KafkaUnderTest } from '../kafka/describe-kafka.ts'
import { RecordingLog } from '../recording-log.ts'

export class Stage {
  readonly #kafka: KafkaUnderTest
  #log = new RecordingLog()
  #producers: Producer[] = []

  constructor(kafka: KafkaUnderTest) {
    this.#kafka = kafka
  }

  /** Of the cluster under test, with the defaults that a user has. */
  producer(options: Partial<ProducerOptions> = {}): Producer {
    const { bootstrapServers } = this.#kafka.cluster
    const producer = new Producer({ bootstrapServers, logger: this.#log, ...options })
    this.#producers.push(producer)
    return producer
  }

  get log(): RecordingLog {
    return this.#log
  }

  async strike(): Promise<void> {
    const producers = this.#producers
    const log = this.#log
    this.#producers = []
    this.#log = new RecordingLog()
    const reports = await Promise.all(producers.map((producer) => producer.close({ timeoutMs: 10_000 })))
    expect(log.at('error')).toEqual([])
    for (const { abandoned } of reports) expect(abandoned, 'records that were still out').toBe(0)
  }
}

/** One stage for a `describeEachKafka`, cleared after each test. */
export function useStage(kafka: KafkaUnderTest): Stage {
  const stage = new Stage(kafka)
  afterEach(() => stage.strike())
  return stage
}

/** The error that a promise must end with. */
export async function failureOf(promise: Promise<unknown>): Promise<KafkaError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => error,
  )
  if (outcome instanceof KafkaError) return outcome
  throw new Error(`expected a KafkaError, got ${JSON.stringify(outcome)}`, { cause: outcome })
}

/** `prefix-0`, `prefix-1`, ... */
export const numbered = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
