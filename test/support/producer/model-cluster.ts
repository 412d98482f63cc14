// ModelCluster: the broker side of the model test, small enough to be believed. A partition is a list of batches with Kafka's bookkeeping
// of producers (support/fake-cluster/producer-state.ts), led by one node at a time; when the leader changes, what no answer has vouched
// for may be lost. From: model-run.ts, which decides what happens when.
import type { RecordBatch } from '../../../src/protocol/record-batch.ts'
import { ProducerState, type SequencedBatch } from '../fake-cluster/producer-state.ts'
import type { Said, SentBatch } from './fake-lane.ts'

export const CODE = {
  UNKNOWN_SERVER_ERROR: -1,
  CORRUPT_MESSAGE: 2,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER_OR_FOLLOWER: 6,
  REQUEST_TIMED_OUT: 7,
  MESSAGE_TOO_LARGE: 10,
  RECORD_LIST_TOO_LARGE: 18,
  NOT_ENOUGH_REPLICAS: 19,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 20,
  TOPIC_AUTHORIZATION_FAILED: 29,
  INVALID_TIMESTAMP: 32,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  INVALID_PRODUCER_EPOCH: 47,
  KAFKA_STORAGE_ERROR: 56,
  INVALID_RECORD: 87,
} as const

/** What the broker does with one batch: its own way, or a fault of the test's choice. */
export type Treatment =
  | { readonly kind: 'proper' }
  /** Refused before anything else was looked at. */
  | { readonly kind: 'refuse'; readonly errorCode: number }
  /** Stored (if it can be), and answered with an error nevertheless. */
  | { readonly kind: 'store, then refuse'; readonly errorCode: number }

interface Stored extends SequencedBatch {
  readonly ids: readonly number[]
}

export class ModelPartition {
  readonly topic: string
  readonly index: number
  leader: number
  leaderEpoch = 0
  /** Larger batches are refused. */
  maxMessageBytes = Number.POSITIVE_INFINITY
  #log: Stored[] = []
  #producers = new ProducerState()
  // Batches that no change of leader can take away: an answer has vouched for them, or for one behind them.
  #committed = 0

  constructor(topic: string, index: number, leader: number) {
    this.topic = topic
    this.index = index
    this.leader = leader
  }

  /** The ids of all records, by offset. */
  get ids(): number[] {
    return this.#log.flatMap(({ ids }) => ids)
  }

  get batchCount(): number {
    return this.#log.length
  }

  get hasUncommitted(): boolean {
    return this.#committed < this.#log.length
  }

  /** As after `producer.id.expiration.ms` without a record. */
  forgetProducers(): void {
    this.#producers.forget()
  }

  /**
   * Another node leads, or the same one after a restart. What was not committed may be lost: `keep` of those batches are not. A node that
   * `hasRestarted` remembers the last batch of each producer alone.
   */
  moveTo(leader: number, keep: number, hasRestarted: boolean): void {
    this.leader = leader
    this.leaderEpoch++
    this.#log.length = Math.min(this.#log.length, this.#committed + keep)
    this.#producers = new ProducerState()
    let offset = 0
    for (const stored of this.#log) {
      if (stored.producerId !== '-1') this.#producers.appended(stored, offset)
      offset += stored.recordCount
    }
    if (hasRestarted) this.#producers.rememberLastOnly()
  }

  /** What the leader does with a batch. */
  take({ batch, bytes }: SentBatch, treatment: Treatment): Said {
    if (treatment.kind === 'refuse') return { errorCode: treatment.errorCode }
    if (bytes.length > this.maxMessageBytes && batch.recordCount >= 1) return { errorCode: CODE.MESSAGE_TOO_LARGE }
    const culprits = culpritsOf(batch)
    if (culprits.length > 0) {
      const recordErrors = culprits.map((batchIndex) => ({ batchIndex, batchIndexErrorMessage: 'a bad record' }))
      return { errorCode: CODE.INVALID_RECORD, recordErrors }
    }
    const said = this.#store(batch)
    if (said.errorCode !== undefined || treatment.kind === 'proper') {
      if (said.errorCode === undefined) this.#commitUpTo(said.baseOffset!)
      return said
    }
    return { errorCode: treatment.errorCode }
  }

  #store(batch: RecordBatch): Said {
    const sequenced = {
      producerId: batch.producerId.toString(),
      producerEpoch: batch.producerEpoch,
      baseSequence: batch.baseSequence,
      recordCount: batch.recordCount,
    }
    const isSequenced = sequenced.producerId !== '-1'
    const verdict = isSequenced ? this.#producers.judge(sequenced) : ({ kind: 'append' } as const)
    if (verdict.kind === 'refuse') return { errorCode: CODE[verdict.error] }
    if (verdict.kind === 'duplicate') return { baseOffset: verdict.baseOffset }
    const baseOffset = this.ids.length
    this.#log.push({ ...sequenced, ids: idsOf(batch) })
    if (isSequenced) this.#producers.appended(sequenced, baseOffset)
    return { baseOffset }
  }

  #commitUpTo(offset: number): void {
    let at = 0
    for (let i = 0; i < this.#log.length && at <= offset; i++) {
      at += this.#log[i]!.recordCount
      this.#committed = Math.max(this.#committed, i + 1)
    }
  }
}

/** Values look like `17`, `17!` (a record that the broker finds fault with), either with padding behind a blank. */
export const recordText = (id: number, isBad: boolean, paddingBytes: number): string =>
  `${id}${isBad ? '!' : ''} ${'x'.repeat(paddingBytes)}`

const textOf = (value: Uint8Array | null): string => Buffer.from(value!).toString()

const idsOf = (batch: RecordBatch): number[] => batch.records!.map(({ value }) => Number.parseInt(textOf(value), 10))

const culpritsOf = (batch: RecordBatch): number[] =>
  batch.records!.flatMap(({ value }, index) => (/^\d+!/.test(textOf(value)) ? [index] : []))
