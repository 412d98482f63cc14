// ModelRun: one random life of a producer, decided by a seed. Records are sent; requests are carried out, answered, lost before or after;
// leaders move, connections end, time passes. Then all faults end, and what has become of the records is held against the logs.
// From: model.test.ts. To: stage.ts (the producer), model-cluster.ts (the brokers).
//
// A connection that ends may leave requests behind that are still carried out, later, and whose answers nobody hears. Not, however, after
// the leader has answered OUT_OF_ORDER for their partition: that a batch which it does not have may still come, from a connection long
// gone, between this answer and the first batch of the next epoch, is a hole in Kafka's protocol that no client can close.
import { closeCore } from '../../../src/producer/closing.ts'
import type { CloseReport } from '../../../src/producer/types.ts'
import type { FakeLane, FakeRequest, Said } from './fake-lane.ts'
import { CODE, ModelPartition, recordText, type Treatment } from './model-cluster.ts'
import { Random } from './random.ts'
import { type Sent, Stage, type StageOptions } from './stage.ts'

export interface ModelOptions extends StageOptions {
  readonly steps?: number
  /** Of the batches that a broker looks at. Default 0.15. */
  readonly faults?: number
}

interface ModelRecord {
  readonly id: number
  readonly sent: Sent
  readonly sentAt: number
}

type Actions = readonly (readonly [weight: number, action: () => void | Promise<void>])[]

const NODES = [1, 2, 3]
const TOPICS = ['a', 'b']
// One topic has an id: requests go by id or by name, whatever is in them.
const TOPIC_IDS = new Map([['b', new Uint8Array(16).fill(7)]])
const PARTITIONS_EACH = 2
export const DELIVERY_TIMEOUT_MS = 20_000
export const REQUEST_TIMEOUT_MS = 3_000
const STEP_MS = 100

export class ModelRun {
  readonly seed: number
  readonly stage: Stage
  readonly partitions: readonly ModelPartition[]
  readonly records: ModelRecord[] = []
  readonly random: Random
  readonly #steps: number
  #faults: number
  // Answers that a broker has made and not sent yet.
  readonly #answers = new Map<FakeRequest, readonly Said[]>()
  readonly #carriedOut = new Set<FakeRequest>()
  /** Left behind by connections that have ended, one list for each. */
  #leftBehind: FakeRequest[][] = []
  #flushesOut = 0
  #isUserActive = true

  constructor(seed: number, { steps = 400, faults = 0.15, producer, ...options }: ModelOptions = {}) {
    this.seed = seed
    this.#steps = steps
    this.#faults = faults
    this.random = new Random(seed)
    this.stage = new Stage({
      random: this.random.next,
      producer: {
        batchSize: 1_000,
        bufferMemory: 64 * 1024,
        deliveryTimeoutMs: DELIVERY_TIMEOUT_MS,
        requestTimeoutMs: REQUEST_TIMEOUT_MS,
        maxBlockMs: 5_000,
        lingerMs: this.random.pick([0, 0, 5, 100]),
        ...producer,
      },
      ...options,
    })
    this.partitions = TOPICS.flatMap((topic) =>
      Array.from({ length: PARTITIONS_EACH }, (_, index) => new ModelPartition(topic, index, this.random.pick(NODES))),
    )
  }

  /** Ends when all is settled in peace. */
  async run(): Promise<void> {
    await this.#live(this.#steps, [...this.#doings, ...this.#happenings])
    this.#isUserActive = false
    await this.#calmDown()
  }

  /** Ends with `close`, in the midst of everything. */
  async runAndClose(): Promise<CloseReport> {
    await this.#live(this.#steps, [...this.#doings, ...this.#happenings])
    this.#isUserActive = false
    const timeoutMs = this.random.pick([0, 100, 5_000])
    let report: CloseReport | undefined
    void closeCore(this.stage.core, timeoutMs).then((closed) => {
      report = closed
    })
    for (let i = 0; i < 100 && report === undefined; i++) await this.#live(10, this.#happenings)
    await this.#pass(timeoutMs)
    if (report === undefined) throw new Error('close never ended')
    // What has reached the brokers is still carried out.
    for (const { flyingAtClose } of this.stage.lanes.values()) this.#leftBehind.push([...flyingAtClose])
    for (const requests of this.#leftBehind) {
      for (const request of requests) if (!this.#carriedOut.has(request)) this.#doAsAsked(request)
    }
    return report
  }

  async #live(steps: number, actions: Actions): Promise<void> {
    for (let step = 0; step < steps; step++) {
      await this.random.weighted(actions)()
      this.#checkBytes()
    }
  }

  /** What the user does. */
  readonly #doings: Actions = [
    [6, () => this.#send()],
    [0.2, () => this.#flush()],
    [0.1, () => this.#rest()],
  ]

  /** What happens anyway. */
  readonly #happenings: Actions = [
    [9, () => this.#carryOut()],
    [9, () => this.#answer()],
    [5, () => this.#write()],
    [8, () => this.stage.settle()],
    [4, () => this.#open()],
    [0.6, () => this.#drop()],
    [4, () => this.#pass(this.random.between(0, 3))],
    [1, () => this.#pass(this.random.between(0, 200))],
    [0.15, () => this.#pass(this.random.between(0, 8_000))],
    [0.6, () => this.#moveLeader()],
    [2, () => this.#tell(this.random.pick(TOPICS))],
    [0.1, () => this.#limit()],
    [0.2, () => this.#closeIdleLane()],
  ]

  // ── The user ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #send(): void {
    const { random, stage } = this
    const topic = random.pick(TOPICS)
    for (let i = random.between(1, 6); i > 0; i--) {
      const id = this.records.length
      const padding = random.chance(0.1) ? random.between(0, 1_500) : random.between(0, 60)
      const value = recordText(id, random.chance(0.015), padding)
      const where = random.weighted([
        [6, { partition: random.between(0, PARTITIONS_EACH - 1) }],
        [2, { key: `key ${random.between(0, 9)}` }],
        [2, {}],
      ])
      const member = random.chance(0.5) ? 'send' : 'enqueue'
      const sentAt = stage.clock.now()
      const record = { topic, value, partition: null as never, ...where }
      const sent = stage.send(record, member)
      this.records.push({ id, sentAt, sent })
      sent.onSettled = () => this.#callBack()
    }
  }

  /** A callback does what it likes. */
  #callBack(): void {
    if (!this.#isUserActive) return
    if (this.random.chance(0.03)) this.#send()
    if (this.random.chance(0.01)) this.#flush()
    if (this.random.chance(0.01)) throw new Error('a fault of the user')
  }

  #flush(): void {
    this.#flushesOut++
    this.stage.core.generations.flush(() => this.#flushesOut--)
    this.stage.core.askForTurn()
  }

  // ── The brokers ───────────────────────────────────────────────────────────────────────────────────────────────────

  #partition(topic: string, index: number): ModelPartition {
    return this.partitions.find((each) => each.topic === topic && each.index === index)!
  }

  #someLane(): FakeLane {
    return this.stage.lane(this.random.pick(NODES))
  }

  /** A broker takes the next request of one connection. */
  #carryOut(): void {
    const waiting = this.#leftBehind.filter((requests) => requests.length > 0)
    if (waiting.length > 0 && this.random.chance(0.2)) {
      this.#doAsAsked(this.random.pick(waiting).shift()!)
      return
    }
    const request = this.#nextToCarryOut(this.#someLane())
    if (request !== undefined) this.#doAsAsked(request)
  }

  #nextToCarryOut(lane: FakeLane): FakeRequest | undefined {
    return lane.requests.find((request) => !request.isGone && !this.#carriedOut.has(request))
  }

  #doAsAsked(request: FakeRequest): void {
    this.#carriedOut.add(request)
    const said: Said[] = []
    for (const sent of request.batches) {
      const partition = this.#partition(sent.topic, sent.index)
      const place = { topic: sent.topic, index: sent.index }
      if (partition.leader !== request.lane.nodeId) said.push({ ...place, ...this.#notLeader(partition) })
      else {
        const answer = partition.take(sent, this.#treatment())
        if (answer.errorCode === CODE.OUT_OF_ORDER_SEQUENCE_NUMBER) this.#forgetLeftBehind(partition)
        said.push({ ...place, ...answer })
      }
    }
    if (request.options.expectsAnswer) this.#answers.set(request, this.#garble(said))
  }

  #forgetLeftBehind({ topic, index }: ModelPartition): void {
    const isOf = ({ batches }: FakeRequest): boolean =>
      batches.some((sent) => sent.topic === topic && sent.index === index)
    this.#leftBehind = this.#leftBehind.map((requests) => requests.filter((request) => !isOf(request)))
  }

  #notLeader({ leader, leaderEpoch }: ModelPartition): Said {
    const errorCode = CODE.NOT_LEADER_OR_FOLLOWER
    return this.random.chance(0.5) ? { errorCode, currentLeader: { leaderId: leader, leaderEpoch } } : { errorCode }
  }

  #treatment(): Treatment {
    if (!this.random.chance(this.#faults)) return { kind: 'proper' }
    const refuse = (errorCode: number): Treatment => ({ kind: 'refuse', errorCode })
    const storeThenRefuse = (errorCode: number): Treatment => ({ kind: 'store, then refuse', errorCode })
    return this.random.weighted<Treatment>([
      [4, refuse(CODE.NOT_ENOUGH_REPLICAS)],
      [2, refuse(CODE.NOT_LEADER_OR_FOLLOWER)],
      [1, refuse(CODE.LEADER_NOT_AVAILABLE)],
      [1, refuse(CODE.UNKNOWN_TOPIC_OR_PARTITION)],
      [1, refuse(CODE.CORRUPT_MESSAGE)],
      [2, refuse(CODE.REQUEST_TIMED_OUT)],
      [1, refuse(CODE.KAFKA_STORAGE_ERROR)],
      [4, storeThenRefuse(CODE.NOT_ENOUGH_REPLICAS_AFTER_APPEND)],
      [4, storeThenRefuse(CODE.REQUEST_TIMED_OUT)],
      [1, storeThenRefuse(CODE.KAFKA_STORAGE_ERROR)],
      [0.5, refuse(CODE.INVALID_TIMESTAMP)],
      [0.5, refuse(CODE.TOPIC_AUTHORIZATION_FAILED)],
      [0.5, refuse(CODE.RECORD_LIST_TOO_LARGE)],
      [0.5, refuse(CODE.UNKNOWN_SERVER_ERROR)],
      [0.5, storeThenRefuse(CODE.UNKNOWN_SERVER_ERROR)],
      [2, refuse(CODE.MESSAGE_TOO_LARGE)],
    ])
  }

  /** An answer that leaves a batch out, says something twice, or talks of what was not asked. */
  #garble(said: Said[]): readonly Said[] {
    const { random } = this
    if (!random.chance(this.#faults / 5)) return said
    const garbled = [...said]
    random.weighted<() => void>([
      [2, () => garbled.splice(random.between(0, garbled.length - 1), 1)],
      [1, () => garbled.push({ ...random.pick(said), errorCode: CODE.INVALID_RECORD, recordErrors: [] })],
      [1, () => garbled.unshift({ topic: 'nobody asked', index: 0 })],
      [1, () => garbled.unshift({ ...random.pick(said), index: 99 })],
      [1, () => garbled.reverse()],
    ])()
    return garbled
  }

  /** The oldest answer of one connection arrives. */
  #answer(lane = this.#someLane()): boolean {
    const oldest = lane.flying[0]
    if (oldest === undefined) return false
    const said = this.#answers.get(oldest)
    if (said === undefined) return false
    this.#answers.delete(oldest)
    oldest.answer(said, { isWritten: !this.random.chance(0.1) })
    return true
  }

  #write(lane = this.#someLane()): boolean {
    const next = lane.requests.find((request) => !request.isWritten && !request.isGone)
    next?.written()
    return next !== undefined
  }

  // ── Connections ───────────────────────────────────────────────────────────────────────────────────────────────────

  #open(): void {
    const lane = this.#someLane()
    if (!lane.mayOpen) return
    if (this.random.chance(0.1)) lane.refuse()
    else lane.open()
  }

  #drop(lane = this.#someLane()): void {
    if (lane.state.kind !== 'open') return
    const { random } = this
    const waiting = lane.flying.filter((request) => !this.#carriedOut.has(request))
    // The broker has read so many of them, whole; and of so many of the others nothing has left.
    const read = waiting.slice(0, random.between(0, waiting.length))
    const unsent = new Set(random.chance(0.3) ? waiting.slice(random.between(read.length, waiting.length)) : [])
    if (read.length > 0 && random.chance(0.7)) this.#leftBehind.push(read)
    lane.drop((request) => request.isWritten || !unsent.has(request))
  }

  #closeIdleLane(): void {
    const lane = this.#someLane()
    const isAtRest = lane.flyingCount === 0 && lane.requests.every(({ isWritten, isGone }) => isWritten || isGone)
    if (lane.state.kind === 'open' && isAtRest) lane.rest()
  }

  // ── Leaders ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #moveLeader(): void {
    const { random } = this
    const partition = random.pick(this.partitions)
    partition.moveTo(random.pick(NODES), random.between(0, 3), random.chance(0.5))
    if (random.chance(0.3)) this.#tell(partition.topic)
  }

  /** Metadata arrives. Now and then a leader is missing in it, or a partition. */
  #tell(topic: string, isCalm = false): void {
    const { random } = this
    const specs = this.partitions
      .filter((each) => each.topic === topic)
      .map(({ leader, leaderEpoch }) => ({
        leader: !isCalm && random.chance(0.05) ? -1 : leader,
        epoch: leaderEpoch,
      }))
    if (!isCalm && random.chance(0.05)) specs.pop()
    this.stage.describe(topic, specs, TOPIC_IDS.get(topic))
  }

  /** All goes well until nothing is out; then a day without records, after which the leaders have forgotten who wrote. */
  async #rest(): Promise<void> {
    const faults = this.#faults
    await this.#calmDown()
    this.#faults = faults
    await this.stage.pass(86_400_000)
    for (const partition of this.partitions) partition.forgetProducers()
  }

  #limit(): void {
    const { random } = this
    const maxMessageBytes = random.chance(0.5) ? Number.POSITIVE_INFINITY : random.between(150, 1_200)
    const topic = random.pick(TOPICS)
    for (const partition of this.partitions) if (partition.topic === topic) partition.maxMessageBytes = maxMessageBytes
  }

  // ── Time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      await this.stage.pass(Math.min(left, STEP_MS))
      this.#endLateConnections()
    }
  }

  /** As src/net/connection.ts does it: an answer that is late ends its connection. */
  #endLateConnections(): void {
    const now = this.stage.clock.now()
    for (const lane of this.stage.lanes.values()) {
      if (lane.flying.some(({ sentAt, options }) => sentAt + options.timeoutMs <= now)) this.#drop(lane)
    }
  }

  /** No more faults: everything must find its end soon. */
  async #calmDown(): Promise<void> {
    if (this.stage.core.generations.outstanding === 0) return
    this.#faults = 0
    // Those that could not be carried out for so long never will be.
    this.#leftBehind = []
    for (let waitedMs = 0; waitedMs < 10_000; waitedMs += 5) {
      for (const topic of TOPICS) if (waitedMs % 100 === 0) this.#tell(topic, true)
      for (const lane of this.stage.lanes.values()) {
        if (lane.mayOpen) lane.open()
        for (let next = this.#nextToCarryOut(lane); next !== undefined; next = this.#nextToCarryOut(lane)) {
          this.#doAsAsked(next)
        }
        while (this.#write(lane));
        while (this.#answer(lane));
      }
      this.#checkBytes()
      await this.stage.pass(5)
      if (this.stage.core.generations.outstanding === 0) return
    }
    throw new Error(this.#stillOut())
  }

  #stillOut(): string {
    const { accumulator } = this.stage.core
    const batches = [...accumulator.unsettled].map(
      ({ topicName, partitionIndex, state, partition, count, baseSequence }) =>
        `${topicName}-${partitionIndex} ${state} ${count} records from sequence ${baseSequence}, hold ${partition?.hold}, ` +
        `rebasing ${partition?.sequences.isRebasing}, due ${partition?.isDue}`,
    )
    const lanes = [...this.stage.lanes.values()].map(
      ({ nodeId, state, flying }) => `${nodeId} ${state.kind} ${flying.length}`,
    )
    return `records are still out although all is well: ${batches.join('; ')} (lanes: ${lanes.join(', ')})`
  }

  // ── What must hold ────────────────────────────────────────────────────────────────────────────────────────────────

  #checkBytes(): void {
    for (const lane of this.stage.lanes.values()) {
      for (const request of lane.requests.slice(-20)) {
        if (!request.isUntouched) throw new Error('bytes changed while a socket could read them')
      }
    }
  }

  /** Everything that is wrong in the end; empty when nothing is. */
  faults({ isOrdered = true, isOnce = true, isClosed = false } = {}): string[] {
    const faults: string[] = []
    const places = this.#places(faults, isOnce)
    for (const { id, sent, sentAt } of this.records) {
      const { settledCount, error, metadata } = sent
      const place = places.get(id)
      const name = `record ${id} (${sent.outcome})`
      if (settledCount !== 1) faults.push(`${name} settled ${settledCount} times`)
      if (metadata !== undefined) this.#checkDelivered(name, metadata, place, faults)
      if (error?.persisted === 'no' && place !== undefined) faults.push(`${name} is in the log of ${place.partition}`)
      if (sent.settledAt > sentAt + DELIVERY_TIMEOUT_MS + 2 * STEP_MS) faults.push(`${name} settled late`)
      if (error?.code === 'DELIVERY_TIMEOUT' && sent.settledAt < sentAt + 0.9 * DELIVERY_TIMEOUT_MS) {
        faults.push(`${name} expired after ${sent.settledAt - sentAt} ms`)
      }
    }
    if (isOrdered) this.#checkOrder(faults)
    if (this.#flushesOut > 0 && !isClosed) faults.push(`${this.#flushesOut} flushes never ended`)
    return faults
  }

  #places(faults: string[], isOnce: boolean): Map<number, { partition: string; offset: number }> {
    const places = new Map<number, { partition: string; offset: number }>()
    for (const partition of this.partitions) {
      const name = `${partition.topic}-${partition.index}`
      partition.ids.forEach((id, offset) => {
        if (isOnce && places.has(id)) faults.push(`record ${id} is in the log of ${name} twice`)
        places.set(id, { partition: name, offset })
      })
    }
    return places
  }

  #checkDelivered(
    name: string,
    { topic, partition, offset }: { topic: string; partition: number; offset: number },
    place: { partition: string; offset: number } | undefined,
    faults: string[],
  ): void {
    if (place === undefined) faults.push(`${name} is in no log`)
    else if (place.partition !== `${topic}-${partition}`) faults.push(`${name} is in the log of ${place.partition}`)
    const { ids } = this.#partition(topic, partition)
    if (offset >= 0 && ids[offset] !== Number.parseInt(name.slice(7), 10)) faults.push(`${name} is not at this offset`)
  }

  #checkOrder(faults: string[]): void {
    for (const { topic, index, ids } of this.partitions) {
      ids.forEach((id, offset) => {
        if (offset > 0 && id <= ids[offset - 1]!) {
          faults.push(`${topic}-${index} has record ${id} behind ${ids[offset - 1]} (offset ${offset})`)
        }
      })
    }
  }
}
