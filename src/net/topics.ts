// Topics: what is known of a topic's partitions, and how an answer of the cluster changes it. Brokers answer what they know, which may be
// older than what we know: leader epochs decide. Pure: no requests, no time.
// From: topic-book.ts. To: cluster.ts, producer/ (the two types).
import { ZERO_UUID } from '../protocol/api.ts'
import type { MetadataResponsePartition, MetadataResponseTopic } from '../protocol/messages/metadata.ts'

export interface PartitionMetadata {
  readonly partition: number
  /** Node id; -1: there is none at present, or the cluster does not list it. */
  readonly leader: number
  /** The highest that was seen; -1: none was ever given. */
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly inSyncReplicas: readonly number[]
  readonly offlineReplicas: readonly number[]
  /** 0, or what the last answer said of this partition. */
  readonly errorCode: number
}

/** Never changed: an update that changes anything makes a new one, of which unchanged partitions are the same objects. */
export interface TopicMetadata {
  readonly name: string
  /** Zeros where `hasTopicId` is false. */
  readonly topicId: Uint8Array
  readonly hasTopicId: boolean
  readonly errorCode: number
  /** By index, without gaps; at least one. */
  readonly partitions: readonly PartitionMetadata[]
  readonly isInternal: boolean
}

// How often an answer may leave a partition out, or name an older epoch, in a row, until it is believed: a topic made anew with fewer
// partitions, a cluster restored from a backup. Topic ids tell both at once; these are for brokers that have none.
const DISBELIEF = 5

interface KnownPartition extends PartitionMetadata {
  missing: number
  older: number
}

export interface MergeContext {
  /** Metadata from version 9 on. Before, brokers gave epochs that had gone down (KAFKA-9212). */
  readonly epochsAreReliable: boolean
  /** The nodes that the same answer lists. */
  isListed(nodeId: number): boolean
}

const NO_LEADER = -1
const NO_EPOCH = -1
const LEADER_NOT_AVAILABLE = 5
// More partitions than this are not left out of one answer by chance: a higher index is a broken answer, not a topic with gaps.
const GAP_AT_MOST = 1_000

/**
 * What is known after this answer, in which the topic has no error and at least one partition. The same object as `known` when
 * nothing changed.
 */
export function mergeTopic(
  known: TopicMetadata | undefined,
  answer: MetadataResponseTopic,
  context: MergeContext,
): TopicMetadata {
  const name = answer.name ?? known?.name ?? ''
  const hasTopicId = !isZero(answer.topicId)
  // Made anew: nothing that was known of it holds, least of all its epochs.
  const old = known !== undefined && isSameTopic(known, answer.topicId) ? known : undefined
  const partitions = mergePartitions(old?.partitions ?? [], answer.partitions, context)
  const merged: TopicMetadata = {
    name,
    // A broker that cannot say the id does not make the topic another one.
    topicId: hasTopicId ? answer.topicId.slice() : (old?.topicId ?? ZERO_UUID),
    hasTopicId: hasTopicId || (old?.hasTopicId ?? false),
    errorCode: 0,
    partitions,
    isInternal: answer.isInternal,
  }
  return old !== undefined && isUnchanged(old, merged) ? old : merged
}

/**
 * What is known after a leader was named aside from metadata (KIP-951): only a newer epoch counts. `undefined`: nothing new.
 */
export function withLeader(
  known: TopicMetadata,
  partition: number,
  leader: number,
  leaderEpoch: number,
): TopicMetadata | undefined {
  const old = known.partitions[partition]
  if (old === undefined || leader < 0 || leaderEpoch <= old.leaderEpoch) return undefined
  const partitions = [...known.partitions]
  partitions[partition] = { ...old, leader, leaderEpoch, errorCode: 0, missing: 0, older: 0 } as KnownPartition
  return { ...known, partitions }
}

/** The same knowledge, but any epoch will be believed: the next answer may come from another cluster. */
export function withoutEpochs(known: TopicMetadata): TopicMetadata {
  return { ...known, partitions: known.partitions.map((old) => ({ ...old, leaderEpoch: NO_EPOCH })) }
}

export const isLeaderless = (topic: TopicMetadata): boolean =>
  topic.partitions.some(({ leader }) => leader === NO_LEADER)

function mergePartitions(
  known: readonly PartitionMetadata[],
  answered: readonly MetadataResponsePartition[],
  context: MergeContext,
): readonly PartitionMetadata[] {
  const merged: (PartitionMetadata | undefined)[] = known.map((old) => whenMissing(old as KnownPartition))
  for (const answer of answered) {
    const index = answer.partitionIndex
    if (index < 0 || index >= known.length + answered.length + GAP_AT_MOST) continue
    while (merged.length <= index) merged.push(undefined)
    merged[index] = mergePartition(known[index] as KnownPartition | undefined, answer, context)
  }
  while (merged.length > 0 && merged.at(-1) === undefined) merged.pop()
  return merged.map((partition, index) => partition ?? unknownPartition(index))
}

// Left out of this answer: the old knowledge stays (franz-go B34), but not for ever.
function whenMissing(old: KnownPartition): KnownPartition | undefined {
  old.missing = (old.missing ?? 0) + 1
  return old.missing > DISBELIEF ? undefined : old
}

function mergePartition(
  old: KnownPartition | undefined,
  answer: MetadataResponsePartition,
  context: MergeContext,
): PartitionMetadata {
  // -1 is "no epoch", never an epoch to compare with.
  const epoch = context.epochsAreReliable ? answer.leaderEpoch : NO_EPOCH
  if (old !== undefined) {
    old.missing = 0
    if (epoch !== NO_EPOCH && epoch < old.leaderEpoch && ++old.older <= DISBELIEF) return old
  }
  const rewound = old !== undefined && old.older > DISBELIEF
  const hasLeader =
    answer.leaderId >= 0 && answer.errorCode !== LEADER_NOT_AVAILABLE && context.isListed(answer.leaderId)
  const merged: KnownPartition = {
    partition: answer.partitionIndex,
    leader: hasLeader ? answer.leaderId : NO_LEADER,
    leaderEpoch: rewound ? epoch : Math.max(epoch, old?.leaderEpoch ?? NO_EPOCH),
    replicas: answer.replicaNodes,
    inSyncReplicas: answer.isrNodes,
    offlineReplicas: answer.offlineReplicas,
    errorCode: answer.errorCode === 0 && !hasLeader ? LEADER_NOT_AVAILABLE : answer.errorCode,
    missing: 0,
    older: 0,
  }
  if (old === undefined || !isSamePartition(old, merged)) return merged
  old.older = 0
  return old
}

// Between others that were answered, and never seen itself.
const unknownPartition = (partition: number): PartitionMetadata => {
  const unknown: KnownPartition = {
    partition,
    leader: NO_LEADER,
    leaderEpoch: NO_EPOCH,
    replicas: [],
    inSyncReplicas: [],
    offlineReplicas: [],
    errorCode: LEADER_NOT_AVAILABLE,
    missing: 0,
    older: 0,
  }
  return unknown
}

const isZero = (id: Uint8Array): boolean => id.every((byte) => byte === 0)

const isSameTopic = (known: TopicMetadata, id: Uint8Array): boolean =>
  !known.hasTopicId || isZero(id) || known.topicId.every((byte, index) => byte === id[index])

const isUnchanged = (a: TopicMetadata, b: TopicMetadata): boolean =>
  a.hasTopicId === b.hasTopicId &&
  a.isInternal === b.isInternal &&
  a.partitions.length === b.partitions.length &&
  a.partitions.every((partition, index) => partition === b.partitions[index])

const isSamePartition = (a: PartitionMetadata, b: PartitionMetadata): boolean =>
  a.leader === b.leader &&
  a.leaderEpoch === b.leaderEpoch &&
  a.errorCode === b.errorCode &&
  isSameList(a.replicas, b.replicas) &&
  isSameList(a.inSyncReplicas, b.inSyncReplicas) &&
  isSameList(a.offlineReplicas, b.offlineReplicas)

const isSameList = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((item, index) => item === b[index])
