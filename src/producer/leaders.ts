// Brings metadata to the partitions: who leads them, which are new, which are gone.
// From: net/cluster.ts (updates), sender.ts (a broker's hint, KIP-951). To: partition.ts, sender-lane.ts.
//
// A partition changes its lane only when nothing of it flies: with requests on the way to the old leader, one to the new leader could be
// taken before theirs (and a broker without our state takes any sequence).

import type { TopicMetadata } from '../net/topics.ts'
import type { Accumulator } from './accumulator.ts'
import { HOLD_BACKOFF, HOLD_LEADER, HOLD_MOVING, Partition } from './partition.ts'
import type { SenderLane } from './sender-lane.ts'
import type { Topic } from './topic.ts'

export interface LeadersHooks {
  laneOf(nodeId: number): SenderLane
  onDrainable(partition: Partition): void
}

export class Leaders {
  readonly #accumulator: Accumulator
  readonly #isIdempotent: boolean
  readonly #hooks: LeadersHooks

  constructor(accumulator: Accumulator, isIdempotent: boolean, hooks: LeadersHooks) {
    this.#accumulator = accumulator
    this.#isIdempotent = isIdempotent
    this.#hooks = hooks
  }

  /** The cluster has described the topic, for the first time or again. */
  update(topic: Topic, metadata: TopicMetadata, now: number): void {
    const isNew = topic.metadata === null
    const wasRecreated =
      !isNew && topic.metadata?.hasTopicId === true && !sameId(topic.metadata.topicId, metadata.topicId)
    topic.metadata = metadata
    topic.infos = null
    const count = metadata.partitions.length
    for (const removed of topic.partitions.splice(count)) {
      removed.missingSince = now
      this.#accumulator.closeOpen(removed)
      topic.missing.set(removed.index, removed)
      this.#setLeader(removed, -1, -1)
    }
    for (let index = 0; index < count; index++) {
      const partition = topic.partitions[index] ?? this.#appear(topic, index)
      // A topic that was made again, perhaps while we had forgotten it, has none of our state: one batch at a time until accepted.
      if ((wasRecreated || isNew) && this.#isIdempotent) {
        partition.askAgain()
        partition.sequences.isProven = false
      }
      const { leader, leaderEpoch } = metadata.partitions[index]!
      this.#setLeader(partition, leader, leaderEpoch)
    }
    topic.keyless.setPartitions(count, (index) => metadata.partitions[index]!.leader !== -1)
    if (topic.staged.length > 0) this.#accumulator.unstage(topic)
  }

  #appear(topic: Topic, index: number): Partition {
    const partition = topic.missing.get(index) ?? new Partition(topic, index, this.#isIdempotent)
    topic.missing.delete(index)
    partition.missingSince = 0
    topic.partitions[index] = partition
    return partition
  }

  #setLeader(partition: Partition, leader: number, leaderEpoch: number): void {
    const isNewer = leaderEpoch > partition.leaderEpoch
    partition.leaderEpoch = leaderEpoch
    if (isNewer) partition.askAgain()
    if (leader === -1) {
      partition.hold |= HOLD_LEADER
      partition.lane?.remove(partition)
      return
    }
    const lane = this.#hooks.laneOf(leader)
    // A newer leader has not refused us yet: there is nothing to wait for (KIP-951).
    if (isNewer || partition.lane !== lane) partition.hold &= ~HOLD_BACKOFF
    if (partition.lane === lane) {
      partition.hold &= ~(HOLD_LEADER | HOLD_MOVING)
      partition.nextLane = null
    } else {
      partition.nextLane = lane
      partition.hold = (partition.hold & ~HOLD_LEADER) | HOLD_MOVING
      partition.lane?.remove(partition)
      if (!this.moveWhenLanded(partition)) return
    }
    if (partition.hasSomething) this.#hooks.onDrainable(partition)
  }

  /**
   * Moves to the new leader's lane if nothing flies any more; answers whether the partition is where it belongs. The back-off that the
   * old leader's refusal began ends with it (KIP-951).
   */
  moveWhenLanded(partition: Partition): boolean {
    if (partition.nextLane === null) return true
    if (partition.flying.length > 0) return false
    partition.lane = partition.nextLane
    partition.nextLane = null
    partition.hold &= ~(HOLD_MOVING | HOLD_BACKOFF)
    partition.askAgain()
    if (this.#isIdempotent) partition.sequences.isProven = false
    return true
  }
}

function sameId(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i])
}
