// Ties the parts of a producer together: who is told what, and what happens in a turn of the event loop.
// From: producer.ts, whose members call it. To: intake, taking, accumulator, sender, fate, settle queue, net.
//
//   turn:  metadata for new topics ─► the line ─► sender.pass ─► callbacks, 5 ms at most ─► ready()
//
// A turn is one setImmediate, asked for by whatever may have changed something, and never from within `send`'s own work. Everything runs in
// the producer's own async context (own-context.ts).

import type { Clock } from '../clock.ts'
import { type KafkaError, kafkaError } from '../errors.ts'
import { consoleLog, type RateLimitedLog, rateLimited } from '../logger.ts'
import { BrokerPool } from '../net/broker-pool.ts'
import { Cluster } from '../net/cluster.ts'
import type { TopicMetadata } from '../net/topics.ts'
import { Crc32cKernel } from '../protocol/crc32c.ts'
import { Accumulator } from './accumulator.ts'
import { Arena } from './arena.ts'
import { Deadlines } from './deadlines.ts'
import { Expiry } from './expiry.ts'
import { Fate } from './fate.ts'
import { Generations } from './generations.ts'
import { Intake } from './intake.ts'
import { Leaders } from './leaders.ts'
import { Line } from './line.ts'
import { updateLoad } from './load.ts'
import { Metrics } from './metrics.ts'
import type { ResolvedOptions } from './options.ts'
import { OwnContext } from './own-context.ts'
import { ProducerId } from './producer-id.ts'
import { Room } from './room.ts'
import { Sender } from './sender.ts'
import { SettleQueue } from './settle-queue.ts'
import { SlotsPool } from './slots.ts'
import { Taking } from './taking.ts'
import type { Topic } from './topic.ts'
import { TopicWaits } from './topic-waits.ts'
import type { Interceptor } from './types.ts'

export type CoreState =
  | { readonly kind: 'open' }
  | { readonly kind: 'closing' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'failed'; readonly error: KafkaError }

export class Core {
  state: CoreState = { kind: 'open' }
  readonly options: ResolvedOptions
  readonly context = new OwnContext()
  readonly clock: Clock
  readonly log: RateLimitedLog
  readonly metrics: Metrics
  readonly generations = new Generations()
  readonly line = new Line()
  readonly accumulator: Accumulator
  readonly intake: Intake
  readonly taking: Taking
  readonly settleQueue: SettleQueue
  readonly sender: Sender
  readonly pool: BrokerPool
  readonly cluster: Cluster
  readonly fate: Fate
  readonly room: Room
  readonly topicWaits: TopicWaits
  readonly deadlines: Deadlines
  readonly expiry: Expiry
  readonly producerId: ProducerId
  /** Epoch milliseconds of the last acknowledged record. */
  lastSuccessAt: number | null = null

  readonly #leaders: Leaders
  readonly #newTopics = new Set<Topic>()
  readonly #turn = (): void => this.#runTurn()
  #isTurnAsked = false
  #releaseHold: (() => void) | null = null

  constructor(options: ResolvedOptions) {
    const { random, bufferMemory, batchSize } = options
    const clock = this.context.clock(options.clock)
    this.options = options
    this.clock = clock
    const log = rateLimited(options.logger ?? consoleLog, clock)
    this.log = log
    this.metrics = new Metrics(clock)
    const isIdempotent = options.enableIdempotence
    const kernel = Crc32cKernel.create(bufferMemory)
    if (kernel.refusal !== undefined) log.info({ kind: kernel.kind, err: kernel.refusal }, 'no fast CRC-32C here')
    const arena = new Arena(kernel.arena, bufferMemory, batchSize, () => this.askForTurn())
    const slots = new SlotsPool()
    const net = { ...options, clock, log, watch: this.metrics }
    this.pool = new BrokerPool(net)
    this.cluster = new Cluster(this.pool, net)
    this.settleQueue = new SettleQueue(
      slots,
      this.generations,
      clock,
      log,
      observerOf(options.interceptors, log),
      (count) => {
        this.taking.pendingPromises -= count
      },
    )
    this.accumulator = new Accumulator({ ...options, isIdempotent }, arena, slots, random, {
      onOpened: (batch) => {
        this.deadlines.expect(this.expiry.endsAt(batch))
        // Otherwise the cluster forgets a topic that is in use after metadataMaxIdleMs, and never learns of its new leaders.
        this.cluster.touch(batch.topicName)
        if (batch.partition !== null && batch.partition.missingSince > 0) this.cluster.refresh('a partition is missing')
      },
      onDue: (partition) => this.sender.markDue(partition),
      onUnknownTopic: (topic) => this.#newTopics.add(topic),
      onRefused: (kind, first, second, error, generation) => this.taking.refuse(kind, first, second, error, generation),
    })
    this.taking = new Taking(this)
    this.intake = new Intake(options as ConstructorParameters<typeof Intake>[0], this.accumulator, clock, log)
    this.producerId = new ProducerId(
      this.pool,
      net,
      log,
      () => this.askForTurn(),
      (error) => this.fail(error),
    )
    this.#leaders = new Leaders(this.accumulator, isIdempotent, {
      laneOf: (nodeId) => this.sender.laneOf(nodeId),
      onDrainable: (partition) => this.sender.onDrainable(partition),
    })
    this.fate = new Fate(
      this.accumulator,
      this.settleQueue,
      { ...options, isIdempotent },
      {
        onDrainable: (partition) => this.sender.onDrainable(partition),
        onBackoff: (partition) => this.sender.backOff(partition),
        onRefreshMetadata: (reason) => this.cluster.refresh(reason),
        onFatal: (error) => this.fail(error),
        onEpochsUsedUp: (identity) => this.producerId.renew(identity),
        onDelivered: () => {
          this.lastSuccessAt = clock.wallTimeMs()
        },
      },
      this.metrics,
      log,
    )
    const parts = {
      accumulator: this.accumulator,
      generations: this.generations,
      fate: this.fate,
      leaders: this.#leaders,
      producerId: this.producerId,
      pool: this.pool,
      cluster: this.cluster,
      crc: kernel,
      metrics: this.metrics,
      clock,
      log,
      afterEvent: () => this.#afterEvent(),
    }
    this.sender = new Sender({ ...options, isIdempotent }, parts, () => this.askForTurn())
    this.room = new Room(this)
    this.topicWaits = new TopicWaits(this)
    this.expiry = new Expiry(this)
    this.deadlines = new Deadlines(clock, (now) => this.expiry.sweep(now))
    this.cluster.onUpdate = (changed) => this.#onMetadata(changed)
    this.pool.onLaneChange = (lane) => this.sender.onLaneChange(lane)
    for (const note of options.notes) log.warn({}, note)
  }

  // ── Turns ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  askForTurn(): void {
    if (this.#isTurnAsked) return
    this.#isTurnAsked = true
    this.clock.soon(this.#turn)
  }

  #runTurn(): void {
    this.#isTurnAsked = false
    if (this.state.kind === 'closed') {
      // Records that come after `close` are refused, and their callbacks are owed all the same.
      if (this.settleQueue.run()) this.askForTurn()
      return
    }
    this.intake.forgetClock()
    this.#trackNewTopics()
    this.taking.serveLine()
    this.#updateLoads()
    this.sender.pass()
    this.#afterEvent()
  }

  /** After anything that may have settled records: callbacks, room, and whether the process has to stay. */
  #afterEvent(): void {
    this.intake.forgetClock()
    const isMore = this.settleQueue.run()
    this.room.look()
    if (this.line.isEmpty && this.room.isAmple) this.accumulator.isUnderPressure = false
    if (isMore || this.taking.isHeadDue) this.askForTurn()
    this.#hold()
  }

  /** Records that have not settled keep the process alive; nothing else does. */
  #hold(): void {
    const isNeeded = this.generations.outstanding > 0
    if (isNeeded && this.#releaseHold === null) this.#releaseHold = this.pool.hold()
    else if (!isNeeded && this.#releaseHold !== null) {
      this.#releaseHold()
      this.#releaseHold = null
    }
  }

  #trackNewTopics(): void {
    for (const topic of this.#newTopics) {
      const metadata = this.cluster.topic(topic.name)
      this.cluster.track(topic.name)
      if (metadata !== undefined) this.#describe(topic, metadata, this.clock.now())
      else this.deadlines.expect(this.expiry.stagedEndsAt(topic))
    }
    this.#newTopics.clear()
  }

  #updateLoads(): void {
    const { partitioner, partitionerAdaptive, partitionerAvailabilityTimeoutMs } = this.options
    if (partitioner !== 'java' || !partitionerAdaptive) return
    for (const topic of this.accumulator.topics.values()) {
      if (topic.isKeylessUsed) updateLoad(topic, { availabilityTimeoutMs: partitionerAvailabilityTimeoutMs })
    }
  }

  // ── Metadata ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #onMetadata(changed: ReadonlySet<string>): void {
    const now = this.clock.now()
    for (const name of changed) {
      const topic = this.accumulator.topics.get(name)
      if (topic === undefined) continue
      const metadata = this.cluster.topic(name)
      if (metadata !== undefined) this.#describe(topic, metadata, now)
      else this.expiry.topicIsGone(topic)
    }
    this.topicWaits.look(changed)
    this.#askForMissingPartitions()
    this.askForTurn()
  }

  #describe(topic: Topic, metadata: TopicMetadata, now: number): void {
    const first = topic.staged[0]
    if (first !== undefined) this.metrics.metadataWaited(now - first.batch.createdAt)
    this.#leaders.update(topic, metadata, now)
  }

  /** Records wait for a partition that this answer did not have (any more): the next one may (the cluster spaces them). */
  #askForMissingPartitions(): void {
    for (const topic of this.accumulator.topics.values()) {
      for (const partition of topic.missing.values()) {
        if (!partition.hasSomething) continue
        this.cluster.refresh('a partition is missing')
        const oldest = partition.ready[0] ?? partition.open!
        this.deadlines.expect(this.expiry.endsAt(oldest))
      }
    }
  }

  // ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Of no more use: everything that is out fails with this error, and so does everything that comes. */
  fail(error: KafkaError): void {
    if (this.state.kind === 'closed' || this.state.kind === 'failed') return
    this.log.error({ code: error.code, err: error }, 'the producer has failed for good')
    this.state = { kind: 'failed', error }
    this.abandonAll(error)
    this.room.rejectAll(error)
  }

  /**
   * Settles everything that is out with `error`, whatever it waits for; answers how many records of the generations up to `upTo` that
   * were.
   */
  abandonAll(error: KafkaError, upTo = Number.POSITIVE_INFINITY): number {
    let count = 0
    for (const waiter of this.line.takeAll()) {
      if (waiter.generation.number <= upTo) count += waiter.recordCount
      waiter.giveUp(error, 0)
    }
    for (const batch of [...this.accumulator.unsettled]) {
      // With the end of another one its own may have been decided.
      if (batch.settlement !== null) continue
      if (batch.generation.number <= upTo) count += batch.count - batch.goneCount
      this.expiry.abandon(batch, error)
    }
    this.askForTurn()
    return count
  }

  /** Every socket, timer and wait gone. What is still out has been settled before. */
  async shutDown(): Promise<void> {
    this.sender.stop()
    this.state = { kind: 'closed' }
    this.deadlines.clear()
    this.producerId.close()
    this.cluster.close()
    const closed = kafkaError('CLOSED', 'the producer is closed')
    this.room.rejectAll(closed)
    this.topicWaits.rejectAll(closed)
    this.#releaseHold?.()
    this.#releaseHold = null
    await this.pool.close()
    this.log.close()
  }
}

/** The interceptors' view of the outcomes; one that throws is logged and passed over. */
function observerOf(interceptors: readonly Interceptor[], log: RateLimitedLog) {
  const listening = interceptors.filter((interceptor) => interceptor.onAcknowledgement !== undefined)
  if (listening.length === 0) return null
  return (error: KafkaError | null, metadata: Parameters<NonNullable<Interceptor['onAcknowledgement']>>[0]): void => {
    for (const interceptor of listening) {
      try {
        interceptor.onAcknowledgement!(metadata, error)
      } catch (fault) {
        log.warn({ err: fault }, 'an interceptor threw in onAcknowledgement')
      }
    }
  }
}
