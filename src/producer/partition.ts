// One partition's outbox: its open batch, the batches that wait, and those that fly, in order.
// From: accumulator.ts, which opens and closes batches. To: sender.ts, which asks for the next batch to send and brings back what failed.
//
//        oldest ◄──────────────────────────────── newest
//        flying [ b1 b2 b3 ]   ready [ b4 b5 ]   open b6
//
// What comes back from flight goes to its place at the head of `ready`; nothing newer leaves before it.

import type { Batch } from './batch.ts'
import type { SenderLane } from './sender-lane.ts'
import { Sequences } from './sequences.ts'
import type { Topic } from './topic.ts'

/** Why a partition may not be drained at the moment; a sum of bits, zero is drainable. Others are not held up by it. */
export const HOLD_LEADER = 1 // no leader is known
export const HOLD_BACKOFF = 2 // waiting before a retry
export const HOLD_MOVING = 4 // the leader changed; it goes to the new lane when nothing flies any more

export class Partition {
  readonly topic: Topic
  readonly index: number
  hold = HOLD_LEADER
  lane: SenderLane | null = null
  /** Where it goes when nothing flies any more (`HOLD_MOVING`). */
  nextLane: SenderLane | null = null
  leaderEpoch = -1

  open: Batch | null = null
  ready: Batch[] = []
  flying: Batch[] = []

  readonly sequences: Sequences
  /** Bytes that the last batch took: the next one starts with a region of that size. */
  sizeHint = 0
  /** Listed in its lane's ring of partitions that may have something to send. */
  isDue = false
  backoffUntil = 0
  /** Set while the partition is not (or no more) in the topic's metadata: since when, for `maxBlockMs`. */
  missingSince = 0

  constructor(topic: Topic, index: number, isIdempotent: boolean) {
    this.topic = topic
    this.index = index
    this.sequences = new Sequences(isIdempotent)
  }

  get hasSomething(): boolean {
    return this.open !== null || this.ready.length > 0
  }

  /** Batches that wait, the open one included: what the adaptive partitioner weighs. */
  get queueLength(): number {
    return this.ready.length + (this.open === null ? 0 : 1)
  }

  /** No more records for the open batch. */
  closeOpen(): void {
    const batch = this.open
    if (batch === null) return
    this.open = null
    batch.state = 'ready'
    this.sizeHint = batch.byteLength
    this.ready.push(batch)
  }

  /**
   * The batch that may leave next, still in the queue; null: none may. An open batch is not looked at: whether it is due is for the
   * sender to say.
   */
  nextReady(): Batch | null {
    const batch = this.sequences.isRebasing ? this.#nextUnclear() : this.ready[0]
    return batch === undefined || !this.mayFly ? null : batch
  }

  /** One batch at a time until the leader has accepted id and epoch. Partitions without idempotence are born proven. */
  get mayFly(): boolean {
    return this.hold === 0 && (this.sequences.isProven || this.flying.length === 0)
  }

  #nextUnclear(): Batch | undefined {
    return this.ready.find((batch) => batch.isUnclear && !batch.isDisowned)
  }

  /** Nothing flies, and no batch is left whose sequence could still tell what is in the log. */
  get hasAskedAll(): boolean {
    return this.flying.length === 0 && this.#nextUnclear() === undefined
  }

  /** Another leader may remember what this one has refused. */
  askAgain(): void {
    for (const batch of this.ready) batch.isDisowned = false
  }

  takeOff(batch: Batch): void {
    const at = this.ready.indexOf(batch)
    this.ready.splice(at, 1)
    this.flying.push(batch)
    batch.state = 'flying'
  }

  /** Its exchange is over; the batch is on the ground and in no list. */
  land(batch: Batch): void {
    const at = this.flying.indexOf(batch)
    if (at !== -1) this.flying.splice(at, 1)
  }

  /**
   * Puts a batch that must go again where it was. Batches that carry a sequence are ordered by it (b1 may come back after b2 did);
   * `order` counts up with every first departure and does not wrap.
   */
  putBack(batch: Batch): void {
    batch.state = 'ready'
    let at = 0
    while (at < this.ready.length && this.ready[at]!.order < batch.order) at++
    this.ready.splice(at, 0, batch)
  }

  /** The children of a batch take its place. */
  replace(batches: readonly Batch[], order: number): void {
    let at = 0
    while (at < this.ready.length && this.ready[at]!.order < order) at++
    this.ready.splice(at, 0, ...batches)
  }

  remove(batch: Batch): void {
    if (this.open === batch) this.open = null
    const at = this.ready.indexOf(batch)
    if (at !== -1) this.ready.splice(at, 1)
  }
}
