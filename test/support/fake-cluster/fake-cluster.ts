// FakeCluster: a Kafka cluster in this process, on real sockets of the loopback interface, for testing producers: it checks and keeps what
// it gets as Kafka does, goes wrong where a test asks for it, and tells what it saw.
// From: tests. To: broker.ts (one listener each), topics.ts and partition-log.ts (what is stored), faults.ts (what goes wrong).
import type { VersionRange } from '../../../src/protocol/api.ts'
import { type ApiName, type OfferedVersions, offeredRanges } from './apis.ts'
import { Broker } from './broker.ts'
import type { ConnectionInfo } from './connection.ts'
import { deferred } from './deferred.ts'
import { type Fault, type FaultBuilder, type FaultFilter, Faults } from './faults.ts'
import { Invariants } from './invariants.ts'
import type { StoredBatch, StoredRecord } from './partition-log.ts'
import { type LoggedRequest, RequestLog } from './request-log.ts'
import { type TopicOptions, Topics } from './topics.ts'
import { joinFaults, type LogFaults, type SentToPartition, verifyPartition } from './verify.ts'
import type { ClusterView, ListedBroker } from './view.ts'

export interface FakeClusterOptions {
  /** Default 1. Node ids count up from 1. */
  readonly brokers?: number
  /** Names with their number of partitions, or more about them. */
  readonly topics?: Readonly<Record<string, number | TopicOptions>>
  /** Older brokers: the newest version of an API, a range, or null for none. Default: all that we speak. */
  readonly versions?: OfferedVersions
  /** Topics that are asked for come into being with so many partitions. Default 0: they do not. */
  readonly autoCreatePartitions?: number
  /** Where to listen. Default 127.0.0.1. */
  readonly host?: string
  /** Makes topic ids and producer ids; the same seed gives the same ones. Default 1. */
  readonly seed?: number
}

/** How long `until` waits: longer than any step of a test, shorter than the test's own limit. */
const UNTIL_MS = 10_000
const VIOLATIONS_KEPT = 1000
const CONNECTIONS_KEPT = 10_000

export class FakeCluster implements ClusterView, AsyncDisposable {
  readonly clusterId: string
  readonly topics: Topics
  readonly offered: ReadonlyMap<ApiName, VersionRange>
  readonly autoCreatePartitions: number
  readonly faults = new Faults()
  readonly requests = new RequestLog()
  readonly invariants = new Invariants((what) => this.reportViolation(what))
  /** What the producer did that no producer may do. Every test should find it empty. */
  readonly violations: string[] = []
  readonly #brokers: readonly Broker[]
  readonly #host: string
  readonly #watchers = new Set<() => void>()
  readonly #connections: ConnectionInfo[] = []
  #producerIds: number
  #connectionIds = 0

  private constructor(options: FakeClusterOptions) {
    const random = randomFrom(options.seed ?? 1)
    const nodeIds = Array.from({ length: options.brokers ?? 1 }, (_, index) => index + 1)
    this.clusterId = Buffer.from(Array.from({ length: 16 }, () => Math.floor(random() * 256))).toString('base64url')
    this.topics = new Topics(nodeIds, random)
    this.offered = offeredRanges(options.versions)
    this.autoCreatePartitions = options.autoCreatePartitions ?? 0
    this.#host = options.host ?? '127.0.0.1'
    this.#producerIds = 1000 + Math.floor(random() * 1000)
    this.#brokers = nodeIds.map((nodeId) => new Broker(nodeId, this.#host, this))
    for (const [name, topic] of Object.entries(options.topics ?? {})) this.createTopic(name, topic)
  }

  static async start(options: FakeClusterOptions = {}): Promise<FakeCluster> {
    const cluster = new FakeCluster(options)
    await Promise.all(cluster.#brokers.map((broker) => broker.start()))
    return cluster
  }

  /** All brokers, separated by commas. */
  get bootstrapServers(): string {
    return this.#brokers.map((broker) => this.address(broker.nodeId)).join(',')
  }

  /** `host:port` of one broker. */
  address(nodeId: number): string {
    const { host, port } = this.#broker(nodeId)
    return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  }

  /** Stops every broker. */
  async close(): Promise<void> {
    await Promise.all(this.#brokers.map((broker) => broker.stop()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  // ── Faults ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A rule for requests of one API; what it does is chosen on what this answers: `cluster.on('Produce').dropBefore()`. */
  on<Name extends ApiName>(api: Name, filter: FaultFilter<Name> = {}): FaultBuilder<Name> {
    return this.faults.on(api, filter)
  }

  /** Rules that have not worked as often as they say. */
  get unspentFaults(): readonly Fault[] {
    return this.faults.unspent
  }

  // ── Topology ──────────────────────────────────────────────────────────────────────────────────────────────────────

  createTopic(name: string, options: number | TopicOptions): void {
    this.topics.create(name, typeof options === 'number' ? { partitions: options } : options)
  }

  deleteTopic(name: string): void {
    this.topics.delete(name)
  }

  /** Metadata does not know the topic, or knows it again. Produce goes on. */
  hideTopic(name: string, isHidden = true): void {
    this.topics.get(name).isHidden = isHidden
  }

  addPartitions(name: string, count: number): void {
    this.topics.addPartitions(name, count)
  }

  /** -1: no leader. What the old leader remembers of producers comes along, as it does between replicas. */
  setLeader(topic: string, partition: number, nodeId: number): void {
    this.topics.setLeader(topic, partition, nodeId)
  }

  /** The leader forgets all producer ids, as after `producer.id.expiration.ms`. */
  forgetProducers(topic: string, partition: number): void {
    this.topics.partition(topic, partition).log.producers.forget()
  }

  /** Resets its connections and listens no more. Metadata goes on naming it, and it stays leader, until a test says otherwise. */
  async stopBroker(nodeId: number): Promise<void> {
    await this.#broker(nodeId).stop()
  }

  /** On the port it had, or on another one, which Metadata then names. */
  async startBroker(nodeId: number, options: { readonly onNewPort?: boolean } = {}): Promise<void> {
    await this.#broker(nodeId).start(options.onNewPort)
  }

  /** Metadata does not name the broker, or names it again. */
  hideBroker(nodeId: number, isHidden = true): void {
    this.#broker(nodeId).isHidden = isHidden
  }

  /** Metadata names this address for the broker, as behind a tunnel. */
  advertise(nodeId: number, host: string, port: number): void {
    this.#broker(nodeId).advertised = { host, port }
  }

  /** Resets every connection, or those of one broker; it goes on listening. */
  resetConnections(nodeId?: number): void {
    for (const broker of this.#brokers) {
      if (nodeId === undefined || broker.nodeId === nodeId) for (const each of broker.connections) each.reset()
    }
  }

  // ── What was seen ─────────────────────────────────────────────────────────────────────────────────────────────────

  records(topic: string, partition: number): StoredRecord[] {
    return this.topics.partition(topic, partition).log.records()
  }

  /** Values of all records of a partition as text, in order; a tombstone is `null`. */
  values(topic: string, partition: number): (string | null)[] {
    return this.records(topic, partition).map((record) => record.value?.toString('utf8') ?? null)
  }

  /** How many records all partitions of a topic hold together. */
  count(topic: string): number {
    return this.topics.get(topic).partitions.reduce((sum, partition) => sum + partition.log.nextOffset, 0)
  }

  batches(topic: string, partition: number): readonly StoredBatch[] {
    return this.topics.partition(topic, partition).log.batches
  }

  /** Requests of an API that came, in the order of their arrival. */
  seen<Name extends ApiName>(api: Name, where?: (request: LoggedRequest<Name>) => boolean): LoggedRequest<Name>[] {
    return this.requests.of(api, where)
  }

  /** Every connection there ever was; the latest 10,000. */
  get connections(): readonly ConnectionInfo[] {
    return this.#connections
  }

  get openConnections(): readonly ConnectionInfo[] {
    return this.connections.filter((connection) => connection.isOpen)
  }

  /** What the logs hold against what was sent; values must be unique within a partition. */
  verify(sent: Iterable<SentToPartition>): LogFaults {
    return joinFaults([...sent].map((each) => verifyPartition(each, this.records(each.topic, each.partition))))
  }

  /**
   * Waits until something is so, looking again whenever anything happens: a request, an answer, a connection that opens or closes.
   *
   * @throws After 10 s, with what it waited for and what was seen.
   */
  async until(isSo: () => boolean, what: string): Promise<void> {
    if (isSo()) return
    const { promise, resolve, reject } = deferred()
    const look = () => {
      if (isSo()) resolve()
    }
    const timer = setTimeout(() => reject(new Error(`waited ${UNTIL_MS} ms for: ${what}\n${this.story()}`)), UNTIL_MS)
    this.#watchers.add(look)
    try {
      await promise
    } finally {
      this.#watchers.delete(look)
      clearTimeout(timer)
    }
  }

  /** Waits until so many requests of an API have come. */
  async untilSeen<Name extends ApiName>(
    api: Name,
    count = 1,
    where?: (request: LoggedRequest<Name>) => boolean,
  ): Promise<LoggedRequest<Name>[]> {
    await this.until(() => this.seen(api, where).length >= count, `${count} × ${api}`)
    return this.seen(api, where)
  }

  /** The requests in one line each, for the message of a failed test. */
  story(): string {
    const lines = this.requests.all().map((request) => {
      const batches = request.batches.map(
        (batch) =>
          `${batch.topic}-${batch.partition} [${batch.producerId}/${batch.producerEpoch}/${batch.baseSequence} +${batch.recordCount}]`,
      )
      const about = batches.length > 0 ? batches.join(' ') : request.topics.join(' ')
      return `${request.index} broker ${request.broker} connection ${request.connection} ${request.api} v${request.version} ${about} → ${request.outcome}`
    })
    return [...lines.slice(-60), ...this.violations.map((violation) => `VIOLATION ${violation}`)].join('\n')
  }

  // ── For the brokers ───────────────────────────────────────────────────────────────────────────────────────────────

  get brokers(): readonly ListedBroker[] {
    return this.#brokers
      .filter((broker) => !broker.isHidden)
      .map(({ nodeId, host, port, advertised }) => ({ nodeId, host, port, ...advertised, rack: null }))
  }

  nextProducerId(): number {
    return this.#producerIds++
  }

  nextConnectionId(): number {
    return this.#connectionIds++
  }

  connected(connection: ConnectionInfo): void {
    this.#connections.push(connection)
    if (this.#connections.length > CONNECTIONS_KEPT) this.#connections.shift()
    this.changed()
  }

  reportViolation(what: string): void {
    if (this.violations.length < VIOLATIONS_KEPT) this.violations.push(what)
  }

  changed(): void {
    for (const look of [...this.#watchers]) look()
  }

  #broker(nodeId: number): Broker {
    const broker = this.#brokers.find((each) => each.nodeId === nodeId)
    if (broker === undefined) throw new Error(`the cluster has no broker ${nodeId}`)
    return broker
  }
}

// mulberry32: small, and the same on every machine.
function randomFrom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
