// Records of topics that nobody has described yet: encoded in the caller's turn like any other, in order, in batches without a partition.
// Once the topic is known they are cut anew into the batches of their partitions.
// From: accumulator.ts, for a topic without metadata; leaders.ts (by way of it), when metadata has come. To: recut.ts.

import type { KafkaError } from '../errors.ts'
import { RECORDS_AT } from '../protocol/record-batch.ts'
import type { Accumulator, AccumulatorHooks } from './accumulator.ts'
import type { Batch } from './batch.ts'
import type { Choice } from './choice.ts'
import type { Generation } from './generations.ts'
import { type Field, type FlatHeaders, RECORD_OVERHEAD_MAX, recordBytesBound } from './record-encoder.ts'
import { type RecordView, recut } from './recut.ts'
import type { SlotKind } from './slots.ts'
import type { Staged, Topic } from './topic.ts'

export class Staging {
  readonly #accumulator: Accumulator
  readonly #choice: Choice
  readonly #isIdempotent: boolean
  readonly #hooks: AccumulatorHooks

  constructor(accumulator: Accumulator, choice: Choice, isIdempotent: boolean, hooks: AccumulatorHooks) {
    this.#accumulator = accumulator
    this.#choice = choice
    this.#isIdempotent = isIdempotent
    this.#hooks = hooks
  }

  /** As `Accumulator.add`, which calls it. */
  add(
    topic: Topic,
    explicitPartition: number,
    key: Field,
    value: Field,
    headers: FlatHeaders | null,
    timestamp: number,
    record: unknown,
    kind: SlotKind,
    first: unknown,
    second: unknown,
    generation: Generation,
    createdAt: number,
  ): boolean {
    const bytes = recordBytesBound(key, value, headers)
    let staged = topic.staged[topic.staged.length - 1]
    if (staged === undefined || !this.#accumulator.fits(staged.batch, bytes, topic, generation, createdAt, false)) {
      const batch = this.#accumulator.openStaged(topic, bytes, generation, createdAt)
      if (batch === null) return false
      staged = { batch, partitions: [], records: this.#choice.wantsRecord ? [] : null }
      topic.staged.push(staged)
      this.#hooks.onOpened(batch)
      if (topic.staged.length === 1) this.#hooks.onUnknownTopic(topic)
    }
    staged.batch.append(timestamp, key, value, headers, kind, first, second)
    staged.partitions.push(explicitPartition)
    staged.records?.push(record)
    return true
  }

  /** The topic is known now: its records go to their partitions, in the order they came. */
  unstage(topic: Topic): void {
    topic.isUnstaging = true
    while (topic.staged.length > 0) {
      const all = topic.staged
      topic.staged = []
      for (const staged of all) {
        const { batch } = staged
        if (batch.settlement !== null) continue
        recut(batch, (view) => this.#place(topic, staged, view))
        this.#accumulator.dissolve(batch)
      }
    }
    topic.isUnstaging = false
  }

  #place(topic: Topic, { batch, partitions, records }: Staged, view: RecordView): void {
    let index = partitions[view.index]!
    let isKeyless = false
    if (index < 0) {
      try {
        index = this.#choice.encoded(topic, batch.region!.buffer, view, records?.[view.index])
      } catch (error) {
        this.#refuse(batch, view.index, error as KafkaError)
        return
      }
      // The user's partitioner may have ended the wait of this very record: it has settled.
      if (batch.slots.isGone(view.index)) return
      if (index < 0) {
        isKeyless = true
        index = this.#choice.keyless(topic)
      }
    }
    // One that does not exist has been waited for since the record came: maxBlockMs is for all its waiting.
    const partition = topic.partitionFor(index, batch.createdAt, this.#isIdempotent)
    // The record's new deltas may take more bytes than its old ones, never more than this.
    const bytes = view.end - view.restStart + RECORD_OVERHEAD_MAX
    const target = this.#accumulator.openForMoved(partition, bytes, batch)
    const before = target.pos
    target.appendEncoded(batch, view.index, view.restStart, view.end)
    if (isKeyless) topic.keyless.onAppended(target.pos - before + (target.count === 1 ? RECORDS_AT : 0), false)
  }

  /** Its partitioner failed: the record settles on its own, and the batch does without it. */
  #refuse(batch: Batch, index: number, error: KafkaError): void {
    const { slots } = batch
    if (slots.isGone(index)) return
    this.#hooks.onRefused(slots.takeKind(index), slots.first[index], slots.second[index], error, batch.generation)
    slots.first[index] = undefined
    slots.second[index] = undefined
  }
}
