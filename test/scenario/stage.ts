// Stage: what every scenario stands on: fake clusters, producers with short waits, and what must be true when the curtain falls: the
// producers close, no socket is left, every fault that was asked for happened, and nothing was said on the wire that must never be said.
// From: the tests beside it.
import { afterEach, expect } from 'vitest'
import { type KafkaError, Producer, type ProducerOptions } from '../../src/index.ts'
import { FakeCluster, type FakeClusterOptions } from '../support/fake-cluster/fake-cluster.ts'

/** Waits that a test would otherwise sit out; a test that is about one of them sets its own. */
const shortWaits = {
  retryBackoffMs: 5,
  retryBackoffMaxMs: 40,
  reconnectBackoffMs: 5,
  reconnectBackoffMaxMs: 40,
} satisfies Partial<ProducerOptions>

export interface LogLine {
  readonly level: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly message: string
}

export class Stage {
  readonly logs: LogLine[] = []
  /** Violations that the test provokes, as parts of their text. */
  readonly expectedViolations: string[] = []
  #clusters: FakeCluster[] = []
  #producers: Producer[] = []

  async cluster(options: FakeClusterOptions = { topics: { orders: 1 } }): Promise<FakeCluster> {
    const cluster = await FakeCluster.start(options)
    this.#clusters.push(cluster)
    return cluster
  }

  /** Of a cluster, or of addresses. */
  producer(of: FakeCluster | string, options: Partial<ProducerOptions> = {}): Producer {
    const producer = new Producer({
      bootstrapServers: typeof of === 'string' ? of : of.bootstrapServers,
      logger: this.#logger(),
      ...shortWaits,
      ...options,
    })
    this.#producers.push(producer)
    return producer
  }

  /** With serializers, whose types a test chooses. */
  typedProducer<K, V>(of: FakeCluster, options: Omit<ProducerOptions<K, V>, 'bootstrapServers'>): Producer<K, V> {
    const producer = new Producer<K, V>({
      bootstrapServers: of.bootstrapServers,
      logger: this.#logger(),
      ...shortWaits,
      ...options,
    })
    this.#producers.push(producer as unknown as Producer)
    return producer
  }

  /** Lines of the log whose message has this in it. */
  logged(part: string): LogLine[] {
    return this.logs.filter((line) => line.message.includes(part))
  }

  #logger() {
    const at = (level: string) => (fields: object, message: string) => {
      this.logs.push({ level, fields: fields as Record<string, unknown>, message })
    }
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  }

  async strike(): Promise<void> {
    const clusters = this.#clusters
    const producers = this.#producers
    const expected = this.expectedViolations.splice(0)
    this.#clusters = []
    this.#producers = []
    this.logs.length = 0
    try {
      await Promise.all(producers.map((producer) => producer.close({ timeoutMs: 0 })))
      for (const cluster of clusters) {
        await cluster.until(() => cluster.openConnections.length === 0, 'all connections to end after close')
        const unexpected = cluster.violations.filter((violation) => !expected.some((part) => violation.includes(part)))
        expect(unexpected, cluster.story()).toEqual([])
        expect(cluster.unspentFaults, 'faults that never happened').toHaveLength(0)
      }
    } finally {
      await Promise.all(clusters.map((cluster) => cluster.close()))
    }
  }
}

/** One stage for a file, cleared after each test. */
export function useStage(): Stage {
  const stage = new Stage()
  afterEach(() => stage.strike())
  return stage
}

/** The error that a promise must end with. */
export async function failureOf(promise: Promise<unknown>): Promise<KafkaError> {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    return error as KafkaError
  }
  throw new Error(`expected a failure, got ${JSON.stringify(value)}`)
}

/** `prefix-0`, `prefix-1`, ... */
export const numbered = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

/** Turns of the event loop: what was ready has then happened. */
export async function turns(count = 3): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/**
 * Long enough for what must not happen to have happened: the producer's own short waits (a millisecond between requests at lingerMs 0, a
 * back-off of 5) have passed. For nothing else: what must happen is awaited.
 */
export const aWhile = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 25))

/** Whether a promise settles by itself, in a while. */
export function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const yes = (): boolean => true
  return Promise.race([promise.then(yes, yes), aWhile().then(() => false)])
}

export { deferred } from '../support/fake-cluster/deferred.ts'
