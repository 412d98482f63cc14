// Topics: which topics and partitions the cluster has, who leads them, and what can be changed about that while a test runs.
// From: fake-cluster.ts for the test. To: handlers/, which answer from here.
import { PartitionLog } from './partition-log.ts'

export interface TopicOptions {
  readonly partitions: number
  /** Default: as many as there are brokers, at most 3. */
  readonly replicationFactor?: number
  /** `max.message.bytes`; default 1048588, as Kafka's. */
  readonly maxMessageBytes?: number
  /** `cleanup.policy=compact`: a record without a key is refused. Default false. */
  readonly compacted?: boolean
  /** `message.timestamp.type=LogAppendTime`: answers carry this as the time of the append. */
  readonly logAppendTimeMs?: number
}

export interface Partition {
  readonly index: number
  /** Node id; -1: none at present. */
  leader: number
  leaderEpoch: number
  readonly replicas: readonly number[]
  inSyncReplicas: readonly number[]
  readonly log: PartitionLog
}

export interface Topic {
  readonly name: string
  readonly id: Uint8Array
  readonly partitions: Partition[]
  readonly maxMessageBytes: number
  readonly compacted: boolean
  readonly logAppendTimeMs: number | undefined
  /** Metadata does not know it, Produce does: as while the news of a new topic spreads. */
  isHidden: boolean
}

const MAX_MESSAGE_BYTES = 1_048_588
const REPLICATION_FACTOR = 3

export class Topics {
  readonly #nodeIds: readonly number[]
  readonly #random: () => number
  readonly #byName = new Map<string, Topic>()

  constructor(nodeIds: readonly number[], random: () => number) {
    this.#nodeIds = nodeIds
    this.#random = random
  }

  get all(): readonly Topic[] {
    return [...this.#byName.values()]
  }

  find(name: string): Topic | undefined {
    return this.#byName.get(name)
  }

  findById(id: Uint8Array): Topic | undefined {
    return this.all.find((topic) => Buffer.compare(topic.id, id) === 0)
  }

  get(name: string): Topic {
    const topic = this.#byName.get(name)
    if (topic === undefined) throw new Error(`the cluster has no topic ${name}`)
    return topic
  }

  partition(name: string, index: number): Partition {
    const partition = this.get(name).partitions[index]
    if (partition === undefined) throw new Error(`topic ${name} has no partition ${index}`)
    return partition
  }

  /** A topic that was there before under this name must be deleted first; the new one has another id and empty logs. */
  create(name: string, options: TopicOptions): Topic {
    if (this.#byName.has(name)) throw new Error(`the cluster has a topic ${name} already`)
    const topic: Topic = {
      name,
      id: Uint8Array.from({ length: 16 }, () => Math.floor(this.#random() * 256)),
      partitions: [],
      maxMessageBytes: options.maxMessageBytes ?? MAX_MESSAGE_BYTES,
      compacted: options.compacted ?? false,
      logAppendTimeMs: options.logAppendTimeMs,
      isHidden: false,
    }
    this.#byName.set(name, topic)
    this.addPartitions(name, options.partitions, options.replicationFactor)
    return topic
  }

  delete(name: string): void {
    if (!this.#byName.delete(name)) throw new Error(`the cluster has no topic ${name}`)
  }

  /** Leaders are dealt out in turn: partition 0 to the first broker, 1 to the second, and so on. */
  addPartitions(name: string, count: number, replicationFactor = REPLICATION_FACTOR): void {
    const { partitions } = this.get(name)
    const copies = Math.min(replicationFactor, this.#nodeIds.length)
    for (let added = 0; added < count; added++) {
      const index = partitions.length
      const replicas = Array.from(
        { length: copies },
        (_, copy) => this.#nodeIds[(index + copy) % this.#nodeIds.length]!,
      )
      partitions.push({
        index,
        leader: replicas[0]!,
        leaderEpoch: 0,
        replicas,
        inSyncReplicas: replicas,
        log: new PartitionLog(),
      })
    }
  }

  setLeader(name: string, index: number, nodeId: number): void {
    const partition = this.partition(name, index)
    if (nodeId !== -1 && !this.#nodeIds.includes(nodeId)) throw new Error(`the cluster has no broker ${nodeId}`)
    partition.leader = nodeId
    partition.leaderEpoch++
  }
}

/** As Kafka's `Topic.validate`. */
export const isTopicName = (name: string): boolean =>
  /^[a-zA-Z0-9._-]{1,249}$/.test(name) && name !== '.' && name !== '..'
