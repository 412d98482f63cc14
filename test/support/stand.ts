// Stand: a whole producer on fake time, in front of a fake cluster on real sockets or of nothing at all. `until` turns the event loop until
// something is so; time moves only when a test says so, so that it can name the very millisecond at which something happens.
// From: the tests of src/producer that need more than one of its parts.
import { afterEach, expect } from 'vitest'
import { KafkaError, type ProducerOptions, type ProducerRecord } from '../../src/index.ts'
import type { Dial } from '../../src/net/dial.ts'
import { Producer } from '../../src/producer/producer.ts'
import { FakeClock } from './fake-clock.ts'
import { FakeCluster, type FakeClusterOptions } from './fake-cluster/fake-cluster.ts'
import { RecordingLog } from './recording-log.ts'

/** A dead network: no connection ever comes. */
export const noAnswer: Dial = ({ signal }) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))

export class Stand {
  clock = new FakeClock()
  log = new RecordingLog()
  #clusters: FakeCluster[] = []
  #producers: Producer<never, never>[] = []

  async cluster(options: FakeClusterOptions = { topics: { orders: 1 } }): Promise<FakeCluster> {
    const cluster = await FakeCluster.start(options)
    this.#clusters.push(cluster)
    return cluster
  }

  /** In front of a cluster, or, with null, of a network on which nothing answers. */
  producer<K = string | Uint8Array | null, V = string | Uint8Array | null>(
    cluster: FakeCluster | null,
    options: Partial<ProducerOptions<K, V>> = {},
  ): Producer<K, V> {
    const producer = new Producer<K, V>(
      {
        bootstrapServers: cluster?.bootstrapServers ?? 'nowhere:9092',
        logger: this.log,
        ...(cluster === null ? { dial: noAnswer } : {}),
        ...options,
      },
      { clock: this.clock, random: () => 0.5 },
    )
    this.#producers.push(producer as unknown as Producer<never, never>)
    return producer
  }

  /** With the topic known, a producer id, and a connection to the leader: what follows needs no time. */
  async warm(cluster: FakeCluster, options: Partial<ProducerOptions> = {}, topic = 'orders'): Promise<Producer> {
    const producer = this.producer(cluster, options)
    const first = producer.send({ topic, partition: 0, value: 'first' })
    const flushed = producer.flush()
    await this.settled(flushed)
    await first
    await cluster.until(
      () => cluster.requests.all().every(({ outcome }) => outcome !== 'waiting'),
      'all to be answered',
    )
    return producer
  }

  /** Waits for a promise, moving time by a millisecond whenever nothing else moves; at most by so many. */
  async settled<T>(promise: Promise<T>, atMostMs = 200): Promise<T> {
    let isSettled = false
    const note = (): void => {
      isSettled = true
    }
    promise.then(note, note)
    for (let ms = 0; !isSettled && ms < atMostMs; ms++) {
      await turns(20)
      if (!isSettled) this.clock.advance(1)
    }
    return promise
  }

  /** Lets so much time go by, in steps, with turns of the event loop in between. */
  async pass(ms: number, stepMs = 100): Promise<void> {
    for (let gone = 0; gone < ms; gone += stepMs) {
      this.clock.advance(Math.min(stepMs, ms - gone))
      await turns(10)
    }
  }

  /** Closes what is open: a test that leaves a socket or a keep-alive timer behind has failed. */
  async strike(): Promise<void> {
    const producers = this.#producers.splice(0)
    const clusters = this.#clusters.splice(0)
    const closed = Promise.all(producers.map((producer) => producer.close({ timeoutMs: 0 })))
    this.clock.advance(0)
    try {
      await closed
      expect(this.clock.pendingDelaysMs, 'timers after close').toEqual([])
      for (const cluster of clusters) {
        await cluster.until(() => cluster.openConnections.length === 0, 'all connections to end after close')
        expect(cluster.violations, cluster.story()).toEqual([])
      }
    } finally {
      await Promise.all(clusters.map((cluster) => cluster.close()))
      this.clock = new FakeClock()
      this.log = new RecordingLog()
    }
  }
}

/** One stand for a file, struck after each test. */
export function useStand(): Stand {
  const stand = new Stand()
  afterEach(() => stand.strike())
  return stand
}

/** So many turns of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

const LONGEST_WAIT_MS = 5_000

/** Turns the event loop until something is so. */
export async function until(isSo: () => boolean, what = 'something'): Promise<void> {
  const givesUpAt = performance.now() + LONGEST_WAIT_MS
  while (!isSo()) {
    if (performance.now() > givesUpAt) throw new Error(`waited ${LONGEST_WAIT_MS} ms for ${what}`)
    await turns(1)
  }
}

/** The error that a promise ends with. */
export async function failureOf(promise: Promise<unknown>): Promise<KafkaError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if ('value' in outcome) throw new Error(`expected a failure, got ${JSON.stringify(outcome.value)}`)
  expect(outcome.error).toBeInstanceOf(KafkaError)
  return outcome.error as KafkaError
}

/** What has become of a promise so far: its value or error, or 'pending'. Rejections count as handled. */
export function watch<T>(promise: Promise<T>): { state: 'pending' | 'done' | 'failed'; value?: T; error?: KafkaError } {
  const watched: ReturnType<typeof watch<T>> = { state: 'pending' }
  promise.then(
    (value) => Object.assign(watched, { state: 'done', value }),
    (error) => Object.assign(watched, { state: 'failed', error }),
  )
  return watched
}

/** A value of so many bytes. */
export const filler = (bytes: number): string => 'x'.repeat(bytes)

export const records = (topic: string, count: number, value = 'v'): ProducerRecord[] =>
  Array.from({ length: count }, (_, i) => ({ topic, value: `${value}-${i}` }))
