// How long the queues are, for the adaptive part of the sticky partitioner (KIP-794): a slow broker's partitions get fewer records.
// From: core.ts, once a pass, for topics that had records without a key since the last one. To: partitioner.ts.

import type { SenderLane } from './sender-lane.ts'
import type { Topic } from './topic.ts'

export interface LoadOptions {
  /** A broker that had something to take and took nothing for this long is passed over; 0: never. */
  readonly availabilityTimeoutMs: number
}

/** Scratch for all topics: nothing keeps them between two calls. */
let queueLengths = new Int32Array(64)
let partitionIndexes = new Int32Array(64)

export function updateLoad(topic: Topic, { availabilityTimeoutMs }: LoadOptions): void {
  topic.isKeylessUsed = false
  const { partitions } = topic
  if (queueLengths.length < partitions.length) {
    queueLengths = new Int32Array(partitions.length * 2)
    partitionIndexes = new Int32Array(partitions.length * 2)
  }
  let count = 0
  for (const partition of partitions) {
    const lane = partition.nextLane ?? partition.lane
    if (lane === null || topic.metadata?.partitions[partition.index]?.leader === -1) continue
    if (availabilityTimeoutMs > 0 && isStuck(lane, availabilityTimeoutMs)) continue
    queueLengths[count] = partition.queueLength
    partitionIndexes[count] = partition.index
    count++
  }
  topic.keyless.updateLoad(queueLengths, partitionIndexes, count)
}

function isStuck(lane: SenderLane, availabilityTimeoutMs: number): boolean {
  return lane.readyAt - lane.drainedAt > availabilityTimeoutMs
}
