// Stage: a whole producer core on fake time, between a test that sends and lanes that the test plays the broker of. Core, accumulator,
// sender, fate and all are the real ones; only their ways out, the broker pool and the cluster, are the test's.
// From: tests of src/producer. To: src/producer/core.ts.
import Long from 'long'
import { expect } from 'vitest'
import type { KafkaError } from '../../../src/errors.ts'
import type { BrokerPool } from '../../../src/net/broker-pool.ts'
import type { Lane } from '../../../src/net/lane.ts'
import type { PartitionMetadata, TopicMetadata } from '../../../src/net/topics.ts'
import { Core } from '../../../src/producer/core.ts'
import type { Prepared } from '../../../src/producer/intake.ts'
import { resolveOptions } from '../../../src/producer/options.ts'
import type { Partition } from '../../../src/producer/partition.ts'
import { SLOT_CALLBACK, SLOT_PROMISE } from '../../../src/producer/slots.ts'
import type { ProducerOptions, ProducerRecord, RecordMetadata } from '../../../src/producer/types.ts'
import { brokerError } from '../../../src/protocol/error-codes.ts'
import type { InitProducerIdResponse } from '../../../src/protocol/messages/init-producer-id.ts'
import { RecordingLog } from '../recording-log.ts'
import { FakeLane, type FakeRequest, type SentBatch } from './fake-lane.ts'
import { StepClock } from './step-clock.ts'

const watched: Stage[] = []

/** The stage is one of those that `expectNothingLeft` looks after. */
export function watch<S extends Stage>(stage: S): S {
  watched.push(stage)
  return stage
}

/** For `afterEach`: whatever a test has done, in the end every record has settled once and every byte is back. */
export async function expectNothingLeft(): Promise<void> {
  for (const stage of watched.splice(0)) {
    await stage.finish()
    stage.expectEmpty()
    for (const { outcome, settledCount } of stage.sent) expect(settledCount, outcome).toBe(1)
  }
}

/** What became of one record. */
export class Sent {
  /** 1 in the end, whatever happens. */
  settledCount = 0
  metadata: RecordMetadata | undefined
  error: KafkaError | undefined
  settledAt = 0
  /** The user's code, called as the record settles. */
  onSettled: () => void = () => {}

  /** `'offset 7'`, `'INVALID_RECORD, persisted no'`, or `'out'`. */
  get outcome(): string {
    if (this.settledCount === 0) return 'out'
    return this.error === undefined
      ? `offset ${this.metadata!.offset}`
      : `${this.error.code}, persisted ${this.error.persisted}`
  }
}

export interface PartitionSpec {
  /** -1: it has none. */
  readonly leader: number
  readonly epoch?: number
}

export interface StageOptions {
  readonly producer?: Partial<ProducerOptions>
  readonly random?: () => number
  /** The first epoch of every producer id. Default 0. */
  readonly firstEpoch?: number
}

export class Stage {
  readonly clock = new StepClock()
  readonly log = new RecordingLog()
  readonly core: Core
  readonly lanes = new Map<number, FakeLane>()
  readonly topics = new Map<string, TopicMetadata>()
  /** Every record that was sent. */
  readonly sent: Sent[] = []
  /** Reasons of all refreshes that were asked for. */
  readonly refreshes: string[] = []
  /** How often InitProducerId was asked; ids count up from 1000. */
  producerIdCount = 0
  /** What InitProducerId answers instead of an id: an error code for each call, or `'silent'`. */
  readonly producerIdFaults: (number | 'silent' | KafkaError)[] = []
  readonly #firstEpoch: number
  readonly #prepared: Prepared = {
    topic: '',
    key: null,
    value: null,
    headers: null,
    timestamp: 0,
    partition: -1,
    record: null,
  }

  constructor({ producer = {}, random = () => 0.5, firstEpoch = 0 }: StageOptions = {}) {
    this.#firstEpoch = firstEpoch
    const options = { bootstrapServers: 'fake:9092', logger: this.log, ...producer } as ProducerOptions
    this.core = new Core(
      resolveOptions(options, { clock: this.clock, random }) as unknown as ConstructorParameters<typeof Core>[0],
    )
    this.#playPool()
    this.#playCluster()
  }

  #playPool(): void {
    replace(this.core.pool, {
      lane: (nodeId: number) => this.lane(nodeId) as unknown as Lane,
      hold: () => () => {},
      close: async () => {
        for (const lane of this.lanes.values()) lane.close()
      },
      control: (async () => this.#giveProducerId()) as unknown as BrokerPool['control'],
    })
  }

  #giveProducerId(): InitProducerIdResponse | Promise<never> {
    const fault = this.producerIdFaults.shift()
    if (fault === 'silent') return new Promise(() => {})
    if (typeof fault === 'object') throw fault
    const producerId = Long.fromNumber(1000 + this.producerIdCount++)
    return { throttleTimeMs: 0, errorCode: fault ?? 0, producerId, producerEpoch: this.#firstEpoch }
  }

  #playCluster(): void {
    replace(this.core.cluster, {
      topic: (name: string) => this.topics.get(name),
      topicError: (name: string) => (this.topics.has(name) ? undefined : brokerError(3)),
      track: () => {},
      untrack: () => {},
      touch: () => {},
      refresh: (reason: string) => void this.refreshes.push(reason),
      applyLeaderHint: (name: string, partition: number, leader: number, epoch: number) =>
        this.#takeHint(name, partition, leader, epoch),
      suggestTopics: async () => [],
      close: () => {},
    })
  }

  #takeHint(name: string, index: number, leader: number, leaderEpoch: number): boolean {
    const topic = this.topics.get(name)
    const old = topic?.partitions[index]
    if (topic === undefined || old === undefined || leaderEpoch <= old.leaderEpoch) return false
    const partitions = topic.partitions.map((each) => (each === old ? { ...old, leader, leaderEpoch } : each))
    this.topics.set(name, { ...topic, partitions })
    return true
  }

  // ── The cluster ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** The lane of a node; the first call makes it. It opens as soon as the sender asks for it, unless `opens` is taken back. */
  lane(nodeId: number): FakeLane {
    let lane = this.lanes.get(nodeId)
    if (lane === undefined) {
      lane = new FakeLane(
        nodeId,
        () => this.clock.now(),
        (changed) => this.core.pool.onLaneChange?.(changed as unknown as Lane),
      )
      this.lanes.set(nodeId, lane)
    }
    return lane
  }

  /** The metadata of a topic, told at once: its partitions' leaders. */
  describe(name: string, partitions: readonly (PartitionSpec | number)[], topicId?: Uint8Array): void {
    this.topics.set(name, topicMetadata(name, partitions, topicId))
    this.core.cluster.onUpdate?.(new Set([name]))
  }

  partition(name = 'topic', index = 0): Partition {
    return this.core.accumulator.topics.get(name)!.partitions[index]!
  }

  /** Every request that nobody has answered, of all lanes, oldest first. */
  get flying(): FakeRequest[] {
    return [...this.lanes.values()].flatMap((lane) => lane.flying)
  }

  // ── Records ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** One record, as `producer.send` or `producer.enqueue` would take it. */
  send(record: Partial<ProducerRecord> = {}, member: 'send' | 'enqueue' = 'send'): Sent {
    const sent = new Sent()
    this.sent.push(sent)
    const settle = (error: KafkaError | null, metadata: RecordMetadata | null): void => {
      sent.settledCount++
      sent.settledAt = this.clock.now()
      sent.error = error ?? undefined
      sent.metadata = metadata ?? undefined
      sent.onSettled()
    }
    const { intake, taking } = this.core
    intake.prepare({ topic: 'topic', partition: 0, value: 'value', ...record }, this.#prepared)
    if (member === 'enqueue') taking.takeOrOverflow(this.#prepared, SLOT_CALLBACK, settle, undefined)
    else {
      const resolve = (metadata: RecordMetadata): void => settle(null, metadata)
      const reject = (error: KafkaError): void => settle(error, null)
      taking.take(this.#prepared, SLOT_PROMISE, resolve, reject)
    }
    return sent
  }

  // ── Time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Turns of the event loop until nothing is left to do without time or an answer. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < 1_000; turns++) {
      // InitProducerId is a promise: its reactions are microtasks.
      for (let i = 0; i < 8; i++) await undefined
      if (!this.clock.hasTurns) return
      this.clock.turn()
    }
    throw new Error('the event loop does not come to rest')
  }

  /** Time goes on; every timer is followed by the turns that it asks for, as in a process that is not blocked. */
  async pass(ms: number): Promise<void> {
    const until = this.clock.now() + ms
    for (let leftMs = ms; leftMs > 0; leftMs = until - this.clock.now()) {
      await this.settle()
      const nextMs = this.clock.pendingDelaysMs[0] ?? leftMs
      // A fraction of a millisecond at least, so that a timer which is set again and again lets time go on.
      this.clock.advance(Math.min(leftMs, Math.max(nextMs, 0.01)))
    }
    await this.settle()
  }

  /** From here on all goes well, until the deadline of everything has passed. */
  async finish(): Promise<void> {
    for (let passedMs = 0; passedMs < 150_000 && this.#isSomethingLeft; passedMs += 1_000) {
      for (const lane of this.lanes.values()) {
        lane.unsentBytes = 0
        if (lane.mayOpen) lane.open()
        for (const request of lane.requests) if (!request.isWritten && !request.isGone) request.written()
        for (const request of lane.flying) request.answer()
        lane.tell()
      }
      await this.pass(1_000)
    }
  }

  get #isSomethingLeft(): boolean {
    const { accumulator, generations } = this.core
    return accumulator.arena.used > 0 || generations.outstanding > 0
  }

  // ── Ends ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Nothing is left: no record, no byte, no batch. */
  expectEmpty(): void {
    const { accumulator, generations, taking } = this.core
    expect({
      bytes: accumulator.arena.used,
      batches: accumulator.unsettled.size,
      records: generations.outstanding,
      promises: taking.pendingPromises,
    }).toEqual({ bytes: 0, batches: 0, records: 0, promises: 0 })
  }
}

function topicMetadata(
  name: string,
  partitions: readonly (PartitionSpec | number)[],
  topicId: Uint8Array | undefined,
): TopicMetadata {
  return {
    name,
    topicId: topicId ?? new Uint8Array(16),
    hasTopicId: topicId !== undefined,
    errorCode: 0,
    isInternal: false,
    partitions: partitions.map((spec, partition): PartitionMetadata => {
      const { leader, epoch = 0 } = typeof spec === 'number' ? { leader: spec } : spec
      const replicas = leader === -1 ? [] : [leader]
      return {
        partition,
        leader,
        leaderEpoch: epoch,
        replicas,
        inSyncReplicas: replicas,
        offlineReplicas: [],
        errorCode: 0,
      }
    }),
  }
}

/** Members of our own in place of the real ones. */
function replace<T extends object>(target: T, members: Partial<T>): void {
  for (const [name, value] of Object.entries(members))
    Object.defineProperty(target, name, { value, configurable: true })
}

/** A record that flies alone in its request. */
export interface Flown {
  readonly sent: Sent
  readonly request: FakeRequest
}

/** A watched stage with one topic `topic` of one partition, led by node 1, whose lane is open. */
export class OnePartition extends Stage {
  readonly lane1: FakeLane

  constructor(options: StageOptions = {}) {
    super(options)
    watch(this)
    this.describe('topic', [1])
    this.lane1 = this.lane(1)
    this.lane1.open()
  }

  get only(): Partition {
    return this.partition()
  }

  /** Each record in a request of its own. */
  async fly(...values: string[]): Promise<Flown[]> {
    const flown: Flown[] = []
    for (const value of values) {
      const count = this.lane1.requests.length
      const sent = this.send({ value })
      // What flies already gives the next record a millisecond to gather others.
      await this.pass(1)
      expect(this.lane1.requests.length, 'requests on their way').toBe(count + 1)
      flown.push({ sent, request: this.lane1.newest })
    }
    return flown
  }

  /** One record is acknowledged (sequence 0, offset 0), so that more than one batch may fly. */
  async prove(): Promise<void> {
    const [first] = await this.fly('first')
    first!.request.answer([{ baseOffset: 0 }])
    await this.settle()
  }

  /** What was sent since the request number `from`, a line each: `'epoch 0 sequence 1: a b'`. */
  wire(from = 0): string[] {
    return this.lane1.requests.slice(from).flatMap(({ batches }) => batches.map(describeBatch))
  }
}

export function describeBatch({ batch }: SentBatch): string {
  const values = batch.records!.map(({ value }) => Buffer.from(value!).toString())
  return `epoch ${batch.producerEpoch} sequence ${batch.baseSequence}: ${values.join(' ')}`
}
