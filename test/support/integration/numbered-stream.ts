// A stream of numbered records through one producer, while something happens to the cluster: what became of each, and whether Kafka's log
// agrees. The log is read back by librdkafka.
// From: producer.test.ts, faults.test.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import type { KafkaError, Producer, RecordMetadata } from '../../../src/index.ts'
import { numberedValue, pythonConsume } from '../clients/python-client.ts'
import { until } from '../kafka/wait.ts'

export type Fate =
  | { readonly kind: 'acknowledged'; readonly partition: number; readonly offset: number }
  | { readonly kind: 'failed'; readonly error: KafkaError }

/** What a look into the log found wrong; `NO_FAULTS` when nothing is. */
export interface LogFaults {
  /** Acknowledged, and another record or none is at its offset. */
  readonly lost: number
  /** In the log more than once. */
  readonly doubled: number
  /** Behind a record of its partition that was sent later. */
  readonly outOfOrder: number
  /** In the log although its error said `persisted: 'no'`. */
  readonly denied: number
  /** In the log and never sent, or with other bytes. */
  readonly strange: number
}

export const NO_FAULTS: LogFaults = { lost: 0, doubled: 0, outOfOrder: 0, denied: 0, strange: 0 }

const KEYS = 97
const VALUE_SIZE = 40
const ROUND = 10
const ROUND_EVERY_MS = 20
const WAIT = { timeoutMs: 60_000 }

export class NumberedStream {
  /** By number; undefined: not settled yet. */
  readonly fates: (Fate | undefined)[] = []
  readonly #producer: Pick<Producer, 'send'>
  readonly #topic: string
  #acknowledgedCount = 0
  #unsettledCount = 0

  constructor(producer: Pick<Producer, 'send'>, topic: string) {
    this.#producer = producer
    this.#topic = topic
  }

  get sentCount(): number {
    return this.fates.length
  }

  get acknowledgedCount(): number {
    return this.#acknowledgedCount
  }

  get errors(): readonly KafkaError[] {
    return this.fates.flatMap((fate) => (fate?.kind === 'failed' ? [fate.error] : []))
  }

  /** Keeps records flowing, some hundred a second, until `done` settles; then answers, or throws, what that did. */
  async during<T>(done: Promise<T>): Promise<T> {
    let isDone = false
    const end = (): void => {
      isDone = true
    }
    done.then(end, end)
    while (!isDone) {
      this.send(ROUND)
      await sleep(ROUND_EVERY_MS)
    }
    return await done
  }

  /** Keeps records flowing until so many more have been acknowledged. */
  async untilAcknowledged(count: number): Promise<void> {
    const goal = this.acknowledgedCount + count
    await this.during(
      until(`${count} records are acknowledged`, WAIT, () => this.acknowledgedCount >= goal || undefined),
    )
  }

  /** So many records more, in this turn. */
  send(count: number): void {
    for (let left = count; left > 0; left--) {
      const number = this.fates.push(undefined) - 1
      const sent = this.#producer.send({
        topic: this.#topic,
        key: `key-${number % KEYS}`,
        value: numberedValue(number, VALUE_SIZE),
      })
      this.#unsettledCount++
      sent.then(
        ({ partition, offset }: RecordMetadata) => this.#settle(number, { kind: 'acknowledged', partition, offset }),
        (error: KafkaError) => this.#settle(number, { kind: 'failed', error }),
      )
    }
  }

  #settle(number: number, fate: Fate): void {
    this.fates[number] = fate
    this.#unsettledCount--
    if (fate.kind === 'acknowledged') this.#acknowledgedCount++
  }

  /** Resolves when everything sent so far has settled; throws when that takes a minute. */
  async settled(): Promise<void> {
    await until('every record has settled', WAIT, () => this.#unsettledCount === 0 || undefined)
  }

  /** Partitions that records from this number on were acknowledged in. */
  partitionsSince(number: number): ReadonlySet<number> {
    const fates = this.fates.slice(number)
    return new Set(fates.flatMap((fate) => (fate?.kind === 'acknowledged' ? [fate.partition] : [])))
  }

  /**
   * Compares every byte of the topic with what was sent and what was answered.
   * @param since Records before this number are not looked at: the topic was made again.
   */
  async compareWithLog(bootstrapServers: string, since = 0): Promise<LogFaults> {
    const faults = { ...NO_FAULTS }
    const placeOf = new Map<number, string>()
    const lastOf = new Map<number, number>()
    for (const { partition, offset, value } of await pythonConsume(bootstrapServers, this.#topic)) {
      const text = value?.toString() ?? ''
      const number = Number.parseInt(text, 10)
      if (!(number < this.sentCount) || text !== numberedValue(number, VALUE_SIZE)) {
        faults.strange++
        continue
      }
      if (number < since) continue
      if (placeOf.has(number)) {
        faults.doubled++
        continue
      }
      if (number < (lastOf.get(partition) ?? -1)) faults.outOfOrder++
      lastOf.set(partition, number)
      placeOf.set(number, `${partition}:${offset}`)
    }
    for (const [number, fate] of this.fates.entries()) {
      if (number < since) continue
      const place = placeOf.get(number)
      if (fate?.kind === 'acknowledged' && place !== `${fate.partition}:${fate.offset}`) faults.lost++
      if (fate?.kind === 'failed' && fate.error.persisted === 'no' && place !== undefined) faults.denied++
    }
    return faults
  }
}
