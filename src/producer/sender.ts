// THE I/O LOOP: drains what is due, lane by lane, into Produce requests, and brings the answers to the batches they are for.
// From: accumulator.ts ("this partition has something"), net/ (a lane opened, an answer came, metadata changed). To: net/lane.ts, fate.ts.
//
//   onDue ─► lane's ring ─► pass() ─► pump(lane) ─► pick, assign, seal ─► exchange ─► onAnswer / onFailed ─► fate ─► pump again
//
// `pass` runs once a turn of the event loop, from setImmediate, when something may have changed; what must wait (a linger, a back-off,
// records gathered while a request flies) sets one timer for the earliest of them. Nothing polls.

import type { Clock } from '../clock.ts'
import { type KafkaError, kafkaError } from '../errors.ts'
import type { Log } from '../logger.ts'
import type { BrokerPool } from '../net/broker-pool.ts'
import type { Cluster } from '../net/cluster.ts'
import type { Lane } from '../net/lane.ts'
import { LazyTimer } from '../net/timers.ts'
import { type PartitionProduceResponse, type ProduceResponse, produce } from '../protocol/messages/produce.ts'
import type { Accumulator } from './accumulator.ts'
import type { Batch, Checksum } from './batch.ts'
import type { Fate } from './fate.ts'
import type { Generations } from './generations.ts'
import type { Leaders } from './leaders.ts'
import type { Metrics } from './metrics.ts'
import type { Answer } from './outcome.ts'
import { HOLD_BACKOFF, type Partition } from './partition.ts'
import type { ProducerId } from './producer-id.ts'
import {
  type Flight,
  type FlyingRequest,
  fullBytes,
  groupByTopic,
  LAST_VERSION_WITH_NAMES,
  needsNames,
  pickBatches,
  produceMessage,
  type RequestTopic,
} from './request.ts'
import { GATHER_MS, SenderLane, type SendWindow } from './sender-lane.ts'

export interface SenderOptions {
  readonly acks: -1 | 0 | 1
  readonly lingerMs: number
  readonly requestTimeoutMs: number
  readonly maxRequestSize: number
  readonly maxInFlightRequestsPerConnection: number
  readonly isIdempotent: boolean
}

/** What the sender works with; made by core.ts, which ties the knots between them. */
export interface SenderParts {
  readonly accumulator: Accumulator
  readonly generations: Generations
  readonly fate: Fate
  readonly leaders: Leaders
  readonly producerId: ProducerId
  readonly pool: BrokerPool
  readonly cluster: Cluster
  readonly crc: Checksum
  readonly metrics: Metrics
  readonly clock: Clock
  readonly log: Log
  /** Bookkeeping is done and the connections are fed: callbacks may run. */
  readonly afterEvent: () => void
}

const NEVER = Number.POSITIVE_INFINITY

export class Sender {
  readonly #options: SenderOptions
  readonly #parts: SenderParts
  readonly #clock: Clock
  readonly #lanes = new Map<number, SenderLane>()
  readonly #backingOff = new Set<Partition>()
  readonly #askForTurn: () => void
  readonly #timer: LazyTimer
  #wakeAt = NEVER
  /** Everything leaves at once, whatever lingerMs says: the producer is closing. */
  isDraining = false
  #isStopped = false

  /** @param askForTurn `pass` is to be called, a turn later */
  constructor(options: SenderOptions, parts: SenderParts, askForTurn: () => void) {
    this.#options = options
    this.#parts = parts
    this.#clock = parts.clock
    this.#askForTurn = askForTurn
    this.#timer = new LazyTimer(parts.clock, () => {
      this.#wakeAt = NEVER
      askForTurn()
    })
  }

  laneOf(nodeId: number): SenderLane {
    let lane = this.#lanes.get(nodeId)
    if (lane === undefined) {
      lane = new SenderLane(this.#parts.pool.lane(nodeId))
      this.#lanes.set(nodeId, lane)
    }
    return lane
  }

  get lanes(): Iterable<SenderLane> {
    return this.#lanes.values()
  }

  /** Whether any request is on its way. */
  get isFlying(): boolean {
    for (const { net } of this.#lanes.values()) if (net.flyingCount > 0) return true
    return false
  }

  /** The partition may have something to send, now or soon. */
  markDue(partition: Partition): void {
    if (partition.hold === 0) partition.lane?.add(partition)
  }

  /** Sends what may leave, on every lane. */
  pass(): void {
    if (this.#isStopped) return
    const now = this.#clock.now()
    this.#endBackoffs(now)
    for (const lane of this.#lanes.values()) if (lane.due.length > 0) this.#pump(lane, now)
    this.#parts.metrics.passed(this.#clock.now() - now)
  }

  stop(): void {
    this.#isStopped = true
    this.#timer.clear()
  }

  // ── Sending ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #pump(lane: SenderLane, now: number): void {
    // Both begin with the first time that there was something to take.
    if (lane.readyAt === 0) lane.drainedAt = now
    lane.readyAt = now
    const { net } = lane
    if (net.state.kind !== 'open') {
      // A broker that cannot be reached is dialled only as long as records wait for it.
      lane.dropIdle()
      if (lane.due.length === 0) return
      // The producer id is fetched while the connection is made.
      if (this.#options.isIdempotent) this.#parts.producerId.get()
      net.connect()
      return
    }
    while (lane.due.length > 0 && lane.canSend(now, this.#options.maxInFlightRequestsPerConnection)) {
      const window = lane.window(now, net.flyingCount === 0 || lane.isAnswered ? 0 : fullBytes(lane))
      if (window === 'nothing') {
        this.#wake(lane.lastRequestAt + GATHER_MS)
        return
      }
      if (!this.#send(lane, window, now)) return
    }
  }

  /** One request; false: there was nothing that may leave. */
  #send(lane: SenderLane, window: SendWindow, now: number): boolean {
    if (!this.#mayAnyLeave(lane)) return false
    const flights = pickBatches(
      lane,
      window,
      this.#options.maxRequestSize,
      (batch) => this.#isOpenDue(batch, now),
      this.#mayLeave,
    )
    if (flights.length === 0) {
      if (window === 'full') this.#wake(lane.lastRequestAt + GATHER_MS)
      return false
    }
    for (const { partition, batch } of flights) this.#seal(partition, batch, now)
    this.#exchange(lane, flights, now)
    return true
  }

  /** Without a producer id only partitions that have one already can send; it is asked for only as long as records wait for it. */
  #mayAnyLeave(lane: SenderLane): boolean {
    if (!this.#options.isIdempotent || lane.due.some(hasIdentity)) return true
    lane.dropIdle()
    return lane.due.length > 0 && this.#parts.producerId.get() !== null
  }

  /** With idempotence a partition needs an identity before its first batch; nothing else waits for it. */
  readonly #mayLeave = (partition: Partition): boolean => {
    if (!this.#options.isIdempotent || partition.sequences.identity !== null) return true
    const identity = this.#parts.producerId.get()
    if (identity === null) return false
    partition.sequences.adopt(identity)
    return true
  }

  #isOpenDue(batch: Batch, now: number): boolean {
    const { lingerMs } = this.#options
    if (lingerMs === 0 || this.isDraining || this.#parts.accumulator.isUnderPressure) return true
    if (batch.generation.number <= this.#parts.generations.flushedUpTo) return true
    const lingersUntil = batch.createdAt + lingerMs
    if (now >= lingersUntil) return true
    this.#wake(lingersUntil)
    return false
  }

  #seal(partition: Partition, batch: Batch, now: number): void {
    const { accumulator, crc, metrics } = this.#parts
    if (this.#options.isIdempotent) {
      if (batch.baseSequence === -1) partition.sequences.assign(batch)
      if (partition.flying.length === 1) partition.sequences.doubtAfterRest(now)
    }
    if (!batch.isSealed) {
      // A reader may still look at the old bytes (a request that was answered before its write callback came): leave them alone.
      if (batch.region!.pins > 0) accumulator.copyRegion(batch)
      batch.seal(crc)
    }
    // Not by `attempts`: one of which not a byte left is taken back.
    if (batch.lastAttemptAt === 0) {
      const { topicName, count, byteLength, largestRecordBytes } = batch
      metrics.batchDrained(topicName, count, byteLength, now - batch.createdAt, byteLength, largestRecordBytes)
    }
    batch.attempts++
    batch.lastAttemptAt = now
  }

  #exchange(lane: SenderLane, flights: readonly Flight[], now: number): void {
    const { acks, requestTimeoutMs } = this.#options
    const topics = groupByTopic(flights)
    const request: FlyingRequest = {
      lane,
      topics,
      regions: flights.map(({ batch }) => batch.region!),
      recordCount: flights.reduce((sum, { batch }) => sum + batch.count, 0),
      batchBytes: flights.reduce((sum, { batch }) => sum + batch.byteLength, 0),
      sentAt: now,
    }
    let version: number
    try {
      version = lane.net.versionFor(produce, needsNames(topics) ? LAST_VERSION_WITH_NAMES : undefined)
    } catch (error) {
      this.#unsupported(request, error as KafkaError)
      return
    }
    for (const region of request.regions) region.pins++
    lane.lastRequestAt = now
    lane.drainedAt = now
    lane.isAnswered = false
    lane.unwritten.add(request)
    this.#parts.metrics.requestSent(lane.net.nodeId, request.batchBytes, request.recordCount)
    lane.net.exchange(
      produce,
      produceMessage(topics, acks, requestTimeoutMs),
      { version, timeoutMs: requestTimeoutMs, expectsAnswer: acks !== 0 },
      {
        onWritten: () => this.#onWritten(request),
        onAnswer: (response, bytes) => this.#onAnswer(request, response, bytes),
        onFailed: (error, mayBeOnTheWire) => this.#onFailed(request, error, mayBeOnTheWire),
      },
    )
  }

  /** The broker does not speak any version of Produce that we do, or none with which this can be said: no retry will help. */
  #unsupported({ lane, topics }: FlyingRequest, cause: KafkaError): void {
    for (const { flights } of topics) {
      for (const { partition, batch } of flights) {
        partition.land(batch)
        batch.attempts--
        const error = kafkaError(cause.code, cause.message, {
          topic: batch.topicName,
          partition: partition.index,
          broker: lane.net.brokerName,
          attempts: batch.attempts,
          persisted: batch.isUnclear ? 'possibly' : 'no',
          cause,
        })
        this.#parts.fate.fail(partition, batch, error)
        this.#parts.fate.afterLanding(partition)
      }
    }
    this.#parts.afterEvent()
  }

  // ── Coming back ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #onWritten(request: FlyingRequest): void {
    this.#unpin(request)
    if (this.#options.acks !== 0) return
    const now = this.#clock.now()
    for (const { flights } of request.topics) {
      for (const flight of flights) this.#land(flight, request.lane, WRITTEN, now)
    }
    this.#afterAnswer(request, now)
  }

  #onAnswer(request: FlyingRequest, response: ProduceResponse, bytes: number): void {
    const now = this.#clock.now()
    const { lane } = request
    lane.isAnswered = true
    this.#parts.metrics.requestAnswered(lane.net.nodeId, now - request.sentAt, response.throttleTimeMs, bytes)
    for (const answer of response.responses) {
      const group = groupOf(request, answer.name, answer.topicId)
      if (group === undefined) continue
      for (const said of answer.partitionResponses) {
        const flight = flightOf(group, said.index)
        // Twice the same partition, or one that was not asked about: the first answer stands, the other says nothing.
        if (flight === undefined || flight.isAnswered) continue
        flight.isAnswered = true
        this.#applyHint(group, said, response)
        this.#land(flight, lane, answerOf(said), now)
      }
    }
    for (const { flights } of request.topics) {
      for (const flight of flights) if (!flight.isAnswered) this.#land(flight, lane, { kind: 'missing' }, now)
    }
    this.#afterAnswer(request, now)
  }

  #onFailed(request: FlyingRequest, error: KafkaError, mayBeOnTheWire: boolean): void {
    this.#unpin(request)
    const now = this.#clock.now()
    const answer: Answer = { kind: 'lost', mayBeOnTheWire, cause: error }
    request.lane.isAnswered = true
    for (const { flights } of request.topics) {
      for (const flight of flights) {
        this.#land(flight, request.lane, answer, now)
      }
    }
    this.#parts.cluster.refresh(error.code)
    this.#afterAnswer(request, now)
  }

  #land(flight: Flight, lane: SenderLane, answer: Answer, now: number): void {
    const { partition, batch } = flight
    this.#parts.fate.land(partition, batch, answer, lane.net.brokerName, now)
  }

  /** Bookkeeping first, then the next request, then the callbacks. */
  #afterAnswer(request: FlyingRequest, now: number): void {
    if (!this.#isStopped && request.lane.due.length > 0) this.#pump(request.lane, now)
    this.#parts.afterEvent()
  }

  #applyHint(group: RequestTopic, said: PartitionProduceResponse, response: ProduceResponse): void {
    const { leaderId, leaderEpoch } = said.currentLeader
    if (said.errorCode === 0 || leaderId < 0 || leaderEpoch < 0) return
    const { cluster, leaders } = this.#parts
    const { topic } = group
    if (!cluster.applyLeaderHint(topic.name, said.index, leaderId, leaderEpoch, response.nodeEndpoints)) return
    const metadata = cluster.topic(topic.name)
    if (metadata !== undefined) leaders.update(topic, metadata, this.#clock.now())
  }

  #unpin(request: FlyingRequest): void {
    const { regions } = request
    request.regions = []
    request.lane.unwritten.delete(request)
    for (const region of regions) this.#parts.accumulator.arena.unpin(region)
  }

  // ── What changes around it ──────────────────────────────────────────────────────────────────────────────────────────

  onLaneChange(net: Lane): void {
    const lane = this.#lanes.get(net.nodeId)
    if (lane === undefined) return
    if (net.state.kind !== 'open') {
      // Requests that were answered before their write callback came: their connection has closed, nobody reads them any more.
      for (const request of [...lane.unwritten]) this.#unpin(request)
      if (net.state.kind === 'backoff') this.#parts.cluster.refresh(net.state.cause.code)
    }
    if (!this.#isStopped && lane.due.length > 0) this.#pump(lane, this.#clock.now())
    this.#parts.afterEvent()
  }

  /** Something of the partition has landed, moved, or may leave again. */
  onDrainable(partition: Partition): void {
    if (!this.#parts.leaders.moveWhenLanded(partition)) return
    if (!partition.hasSomething) return
    this.markDue(partition)
    // It may be on another lane than the one whose answer this was: that one is not looked at otherwise.
    this.#askForTurn()
  }

  backOff(partition: Partition): void {
    this.#backingOff.add(partition)
    this.#wake(partition.backoffUntil)
  }

  #endBackoffs(now: number): void {
    for (const partition of this.#backingOff) {
      // A new leader may have ended the wait already.
      if ((partition.hold & HOLD_BACKOFF) !== 0 && partition.backoffUntil > now) {
        this.#wake(partition.backoffUntil)
        continue
      }
      this.#backingOff.delete(partition)
      partition.hold &= ~HOLD_BACKOFF
      this.onDrainable(partition)
    }
  }

  #wake(at: number): void {
    if (at >= this.#wakeAt) return
    this.#wakeAt = at
    this.#timer.set(at)
  }
}

const WRITTEN: Answer = {
  kind: 'answered',
  errorCode: 0,
  baseOffset: -1,
  logAppendTimeMs: -1,
  logStartOffset: -1,
  errorMessage: null,
  recordErrors: [],
}

function hasIdentity(partition: Partition): boolean {
  return partition.sequences.identity !== null
}

function answerOf(said: PartitionProduceResponse): Answer {
  return {
    kind: 'answered',
    errorCode: said.errorCode,
    baseOffset: said.baseOffset.toNumber(),
    logAppendTimeMs: said.logAppendTimeMs.toNumber(),
    logStartOffset: said.logStartOffset.toNumber(),
    errorMessage: said.errorMessage,
    recordErrors: said.recordErrors,
  }
}

/** From version 13 on an answer names topics by id alone. */
function groupOf(request: FlyingRequest, name: string, topicId: Uint8Array): RequestTopic | undefined {
  const { topics } = request
  if (name !== '') return topics.find(({ topic }) => topic.name === name)
  return topics.find((group) => group.topicId.every((byte, i) => byte === topicId[i]))
}

/** Brokers answer in the order of the request, so the next one is nearly always the one. */
function flightOf(group: RequestTopic, index: number): Flight | undefined {
  const next = group.flights[group.answeredCount++]
  if (next?.partition.index === index) return next
  return group.flights.find(({ partition }) => partition.index === index)
}
