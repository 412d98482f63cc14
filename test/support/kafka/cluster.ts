// What a test holds in its hand: a Kafka cluster, wherever it comes from (jar-cluster.ts, docker-cluster.ts, external-cluster.ts).
// Topics and offsets are the same for all three, so they stand here; nodes are what differs.

import { randomBytes } from 'node:crypto'
import {
  type Address,
  addPartitions,
  createTopic,
  deleteTopic,
  describeTopic,
  endOffsets,
  type PartitionState,
  type TopicOptions,
} from './admin.ts'
import { KAFKA_RELEASES, type KafkaRelease, type KafkaTool, type KafkaVersion } from './versions.ts'
import { until } from './wait.ts'

export interface KafkaNode extends Address {
  readonly nodeId: number
}

export interface ToolRun {
  readonly input?: string
  /** The node whose files the program reads; without one it runs anywhere. */
  readonly nodeId?: number
}

/** What a kind of cluster gives: its nodes and the power over them. */
export interface ClusterHost {
  /** Undefined: a cluster that somebody else started. */
  readonly version: KafkaVersion | undefined
  readonly source: 'external' | 'jars' | 'docker'
  readonly nodes: readonly KafkaNode[]
  isUp(nodeId: number): boolean
  kill(nodeId: number): Promise<void>
  stop(nodeId: number): Promise<void>
  start(nodeId: number): Promise<void>
  pause(nodeId: number): Promise<void>
  resume(nodeId: number): Promise<void>
  /** The folder that holds a node's partitions, on this machine. */
  logDir(nodeId: number): string
  /** The address under which `runTool` reaches the cluster. */
  readonly toolBootstrapServers: string
  /** Runs one of Kafka's own programs, where the nodes' files are, and gives its standard output. */
  runTool(tool: KafkaTool, args: readonly string[], run?: ToolRun): Promise<string>
  /** A partition's .log files as `runTool` can read them, oldest first. */
  segmentFiles(nodeId: number, topic: string, partition: number): Promise<readonly string[]>
  stopAll(): Promise<void>
}

export class KafkaCluster {
  readonly #host: ClusterHost

  constructor(host: ClusterHost) {
    this.#host = host
  }

  /** Undefined for a cluster named by KAFKA_BOOTSTRAP_SERVERS. */
  get version(): KafkaVersion | undefined {
    return this.#host.version
  }

  /** Nodes can be killed, stopped, paused and started again: everywhere but on an external cluster. */
  get controlsNodes(): boolean {
    return this.#host.source !== 'external'
  }

  get source(): ClusterHost['source'] {
    return this.#host.source
  }

  /** By node id, from 1. */
  get nodes(): readonly KafkaNode[] {
    return this.#host.nodes
  }

  /** All nodes', running or not: 'host:port,host:port'. */
  get bootstrapServers(): string {
    return this.nodes.map(({ host, port }) => `${host}:${port}`).join(',')
  }

  /** Resolves when every running broker knows a leader for each partition, and all replicas are in sync. */
  async createTopic(name: string, partitions: number, options?: TopicOptions): Promise<void> {
    return await createTopic(this.#upNodes(), name, partitions, options)
  }

  /** Creates a topic under a name that nothing else has, also on a cluster that outlives the tests, and gives the name. */
  async newTopic(partitions: number, options?: TopicOptions): Promise<string> {
    const name = `test-${randomBytes(6).toString('hex')}`
    await this.createTopic(name, partitions, options)
    return name
  }

  /** Resolves when no running broker knows the topic. */
  async deleteTopic(name: string): Promise<void> {
    return await deleteTopic(this.#upNodes(), name)
  }

  /** Grows the topic to `total` partitions. */
  async addPartitions(name: string, total: number): Promise<void> {
    return await addPartitions(this.#upNodes(), name, total)
  }

  /** As the first running broker knows them, by partition. */
  async partitions(topic: string): Promise<readonly PartitionState[]> {
    const [node] = this.#upNodes()
    return (await describeTopic(node!, topic)).topic.partitions
  }

  /** The running node that leads a partition; after a node went away, waits until another one does. */
  async leaderOf(topic: string, partition: number): Promise<number> {
    return await until(`a running leader of ${topic}-${partition}`, { timeoutMs: 60_000, intervalMs: 50 }, async () => {
      const [node] = this.#upNodes()
      const { brokers, topic: state } = await describeTopic(node!, topic)
      const leader = state.partitions[partition]?.leader
      if (leader === undefined || leader < 0) return undefined
      return brokers.has(leader) && this.#isOfUse(leader) ? leader : undefined
    })
  }

  /** The offset after the last readable record of each partition, by partition. */
  async endOffsets(topic: string): Promise<number[]> {
    return await endOffsets(this.#upNodes(), topic)
  }

  /** SIGKILL: no farewell to the controller or the clients. What it has written stays. */
  kill(nodeId: number): Promise<void> {
    return this.#host.kill(nodeId)
  }

  /** SIGTERM: the broker hands over its leaderships and ends. */
  stop(nodeId: number): Promise<void> {
    return this.#host.stop(nodeId)
  }

  /** A node that is down comes back under the same address, over the same data. Resolves when it is ready. */
  start(nodeId: number): Promise<void> {
    return this.#host.start(nodeId)
  }

  /** Its connections stay open, and it answers nothing. */
  pause(nodeId: number): Promise<void> {
    return this.#host.pause(nodeId)
  }

  resume(nodeId: number): Promise<void> {
    return this.#host.resume(nodeId)
  }

  /** The folder in which a node keeps its partitions; throws where it is not on this machine. */
  logDir(nodeId: number): string {
    return this.#host.logDir(nodeId)
  }

  /** A partition's segments, oldest first, as `runTool` can read them. */
  segmentFiles(nodeId: number, topic: string, partition: number): Promise<readonly string[]> {
    return this.#host.segmentFiles(nodeId, topic, partition)
  }

  /** One of Kafka's own programs, of the release's own jars. For ../clients. */
  runTool(tool: KafkaTool, args: readonly string[], run?: ToolRun): Promise<string> {
    return this.#host.runTool(tool, args, run)
  }

  /** The release that `runTool`'s programs are of. */
  get toolRelease(): KafkaRelease {
    return KAFKA_RELEASES[KAFKA_RELEASES[this.version ?? '4.3'].toolsFrom]
  }

  /** What `runTool` is given as --bootstrap-server; `bootstrapServers` unless the tools run elsewhere. */
  get toolBootstrapServers(): string {
    return this.#host.toolBootstrapServers
  }

  /** Ends every node and removes all data. Fine to call twice. */
  stopAll(): Promise<void> {
    return this.#host.stopAll()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stopAll()
  }

  #upNodes(): KafkaNode[] {
    const up = this.nodes.filter(({ nodeId }) => this.#host.isUp(nodeId))
    if (up.length === 0) throw new Error('no node of the cluster is running')
    return up
  }

  #isOfUse(nodeId: number): boolean {
    return !this.controlsNodes || this.#host.isUp(nodeId)
  }
}
