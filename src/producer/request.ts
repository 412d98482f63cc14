// One Produce request: which batches of a lane leave together, and the message that carries them.
// From: sender.ts, when a lane may send. To: protocol/messages/produce.ts; the batches' bytes are linked, not copied.
//
// One batch a partition, all due partitions of the broker, up to `maxRequestSize`. A partition that may not send is passed over and
// holds up nobody else.

import type { ProduceRequest } from '../protocol/messages/produce.ts'
import type { Region } from './arena.ts'
import type { Batch } from './batch.ts'
import type { Partition } from './partition.ts'
import type { SenderLane, SendWindow } from './sender-lane.ts'
import type { Topic } from './topic.ts'

/** A batch on its way. */
export interface Flight {
  readonly partition: Partition
  readonly batch: Batch
  isAnswered: boolean
}

export interface RequestTopic {
  readonly topic: Topic
  readonly topicId: Uint8Array
  readonly flights: Flight[]
  /** Partitions that the answer has named so far. */
  answeredCount: number
}

export interface FlyingRequest {
  readonly lane: SenderLane
  readonly topics: readonly RequestTopic[]
  /** Pinned until the socket has handed their bytes to the kernel, or has closed. */
  regions: readonly Region[]
  readonly recordCount: number
  readonly batchBytes: number
  sentAt: number
}

/** Picks batches from the lane's ring and takes them off; null: nothing may leave. `isOpenDue` says which open
 * batches have waited long enough, `mayLeave` which partitions lack nothing. */
export function pickBatches(
  lane: SenderLane,
  window: SendWindow,
  maxRequestSize: number,
  isOpenDue: (batch: Batch) => boolean,
  mayLeave: (partition: Partition) => boolean,
): readonly Flight[] {
  const flights: Flight[] = []
  const served: Partition[] = []
  const kept: Partition[] = []
  let bytes = 0
  let isFull = false
  for (const partition of lane.due) {
    if (isFull) {
      kept.push(partition)
      continue
    }
    if (!mayLeave(partition)) {
      kept.push(partition)
      continue
    }
    const batch = nextBatch(partition, window, isOpenDue)
    if (batch === null) {
      // Held or muted partitions come back to the ring when that ends; those that only wait (linger, a fuller request) stay.
      if (partition.mayFly && partition.hasSomething) kept.push(partition)
      else partition.isDue = false
      continue
    }
    if (flights.length > 0 && bytes + batch.byteLength > maxRequestSize) {
      isFull = true
      kept.push(partition)
      continue
    }
    bytes += batch.byteLength
    partition.takeOff(batch)
    flights.push({ partition, batch, isAnswered: false })
    if (partition.hasSomething) served.push(partition)
    else partition.isDue = false
  }
  // Those that were served stand behind those that were not.
  lane.due = served.length === 0 ? kept : kept.concat(served)
  return flights
}

function nextBatch(partition: Partition, window: SendWindow, isOpenDue: (batch: Batch) => boolean): Batch | null {
  const ready = partition.nextReady()
  if (ready !== null) return ready
  const { open } = partition
  if (window !== 'everything' || open === null || partition.ready.length > 0) return null
  if (!partition.mayFly || partition.sequences.isRebasing || !isOpenDue(open)) return null
  partition.closeOpen()
  return partition.nextReady()
}

/** Bytes of closed batches that could leave now. */
export function fullBytes(lane: SenderLane): number {
  let bytes = 0
  for (const partition of lane.due) bytes += partition.nextReady()?.byteLength ?? 0
  return bytes
}

const NO_TOPIC_ID = new Uint8Array(16)

export function groupByTopic(flights: readonly Flight[]): readonly RequestTopic[] {
  const groups = new Map<Topic, RequestTopic>()
  for (const flight of flights) {
    const { topic } = flight.partition
    const group = groups.get(topic)
    if (group === undefined) {
      groups.set(topic, { topic, topicId: topic.metadata?.topicId ?? NO_TOPIC_ID, flights: [flight], answeredCount: 0 })
    } else group.flights.push(flight)
  }
  return [...groups.values()]
}

/** The last version that names topics: the next one has ids only, so every topic must have one. */
export const LAST_VERSION_WITH_NAMES = 12

export function needsNames(topics: readonly RequestTopic[]): boolean {
  return topics.some(({ topic }) => topic.metadata?.hasTopicId !== true)
}

export function produceMessage(topics: readonly RequestTopic[], acks: number, timeoutMs: number): ProduceRequest {
  return {
    transactionalId: null,
    acks,
    timeoutMs,
    topicData: topics.map(({ topic, topicId, flights }) => ({
      name: topic.name,
      topicId,
      partitionData: flights.map(({ partition, batch }) => ({ index: partition.index, records: [batch.bytes()] })),
    })),
  }
}
