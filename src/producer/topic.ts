// What the producer knows of one topic: its partitions, and the records that wait because nothing is known yet.
// From: accumulator.ts, which makes one for each topic name it meets. To: sender.ts, which updates it when metadata arrives.

import type { TopicMetadata } from '../net/topics.ts'
import type { Batch } from './batch.ts'
import { Partition } from './partition.ts'
import type { KeylessPartitioner } from './partitioner.ts'
import type { PartitionInfo } from './types.ts'

/** Records of a topic without metadata: encoded, in order, in a batch that has no partition. They are cut anew when it is known. */
export interface Staged {
  readonly batch: Batch
  /** For each record the partition it asks for, -1: the partitioner decides. */
  readonly partitions: number[]
  /** The users' records, only for a partitioner of the user's own, which wants to see them. */
  readonly records: unknown[] | null
}

export class Topic {
  readonly name: string
  /** Null until the cluster has described it. */
  metadata: TopicMetadata | null = null
  /** The same as users see it; made when somebody asks. */
  infos: readonly PartitionInfo[] | null = null
  /** By index, as in the metadata. */
  partitions: Partition[] = []
  /** Partitions that records ask for and the metadata does not have (yet, or any more). */
  readonly missing = new Map<number, Partition>()
  staged: Staged[] = []
  /** Its staged records are on their way to their partitions: what a partitioner of the user's own sends meanwhile stands behind them. */
  isUnstaging = false
  readonly keyless: KeylessPartitioner
  /** The most bytes that a batch of this topic may have: `batchSize`, halved each time the broker finds one too large. */
  batchBytesMax: number
  /** Near names, fetched when the cluster said that there is no such topic: for the error's hint. */
  nearNames: readonly string[] = []
  hasAskedForNearNames = false
  /** A record without a key came since the load was last looked at. */
  isKeylessUsed = false

  constructor(name: string, keyless: KeylessPartitioner, batchBytesMax: number) {
    this.name = name
    this.keyless = keyless
    this.batchBytesMax = batchBytesMax
  }

  /** The outbox for an explicit partition, made on demand: one that the metadata lacks waits for `maxBlockMs`. */
  partitionFor(index: number, now: number, isIdempotent: boolean): Partition {
    const known = this.partitions[index]
    if (known !== undefined) return known
    let partition = this.missing.get(index)
    if (partition === undefined) {
      partition = new Partition(this, index, isIdempotent)
      partition.missingSince = now
      this.missing.set(index, partition)
    }
    return partition
  }

  /** One that never existed and that no record asks for any more. It keeps its sequences if it has any. */
  forgetMissing(partition: Partition): void {
    const { missingSince, hasSomething, flying, sequences } = partition
    if (missingSince === 0 || hasSomething || flying.length > 0 || sequences.identity !== null) return
    this.missing.delete(partition.index)
  }

  /** Every outbox, those that the metadata lacks included. */
  *all(): Iterable<Partition> {
    yield* this.partitions
    yield* this.missing.values()
  }

  get isIdle(): boolean {
    if (this.staged.length > 0) return false
    for (const partition of this.all()) if (partition.hasSomething || partition.flying.length > 0) return false
    return true
  }
}

/** The partitions of a topic as its users see them. */
export function partitionInfos(topic: Topic): readonly PartitionInfo[] {
  topic.infos ??= (topic.metadata?.partitions ?? []).map((partition) => ({
    topic: topic.name,
    partition: partition.partition,
    leader: partition.leader,
    replicas: partition.replicas,
    inSyncReplicas: partition.inSyncReplicas,
    offlineReplicas: partition.offlineReplicas,
  }))
  return topic.infos
}
