// FakeLane: a lane without a connection. What the sender hands over is written down, and the test says what becomes of it: written,
// answered, lost. It tells things in the order in which src/net/lane.ts does: a request is no longer flying when its exchange hears of
// it; when a connection ends, every exchange hears of it while the lane still says `open`, and only then the lane says `backoff`.
// From: stage.ts. To: src/producer/sender.ts, in place of a Lane.
import Long from 'long'
import { type KafkaError, kafkaError } from '../../../src/errors.ts'
import type { Exchange, ExchangeOptions } from '../../../src/net/exchange.ts'
import { type Api, pickVersion, type VersionRange } from '../../../src/protocol/api.ts'
import type {
  PartitionProduceResponse,
  ProduceRequest,
  ProduceResponse,
} from '../../../src/protocol/messages/produce.ts'
import { decodeRecordBatches, type RecordBatch } from '../../../src/protocol/record-batch.ts'

/** A batch as it was when it was handed over. */
export interface SentBatch {
  readonly topic: string
  readonly topicId: Uint8Array
  readonly index: number
  /** A copy. */
  readonly bytes: Buffer
  /** What the socket would read. */
  readonly view: Uint8Array
  readonly batch: RecordBatch
}

/** What an answer says of one partition; the rest is as in an answer without an error. */
export type Said = Partial<Omit<PartitionProduceResponse, 'baseOffset' | 'logAppendTimeMs'>> & {
  readonly topic?: string
  readonly baseOffset?: number
  readonly logAppendTimeMs?: number
}

const NOBODY = { leaderId: -1, leaderEpoch: -1 }
// What the metrics are told; no test here looks at it.
const ANSWER_BYTES = 100

export class FakeRequest {
  readonly lane: FakeLane
  readonly request: ProduceRequest
  readonly options: ExchangeOptions
  readonly batches: readonly SentBatch[]
  readonly sentAt: number
  isWritten = false
  /** Answered, or failed. */
  isOver = false
  /** The connection has ended: no socket reads its bytes any more. */
  isGone = false
  readonly #exchange: Exchange<ProduceResponse>

  constructor(
    lane: FakeLane,
    request: ProduceRequest,
    options: ExchangeOptions,
    exchange: Exchange<ProduceResponse>,
    now: number,
  ) {
    this.lane = lane
    this.request = request
    this.options = options
    this.#exchange = exchange
    this.sentAt = now
    this.batches = request.topicData.flatMap(({ name, topicId, partitionData }) =>
      partitionData.map(({ index, records }) => sentBatch(name, topicId, index, records!)),
    )
  }

  /** The only batch of a request that has one. */
  get only(): SentBatch {
    if (this.batches.length !== 1) throw new Error(`the request has ${this.batches.length} batches`)
    return this.batches[0]!
  }

  get sequences(): number[] {
    return this.batches.map(({ batch }) => batch.baseSequence)
  }

  /** Whether every byte is still what it was, as long as a socket may read it. */
  get isUntouched(): boolean {
    return this.isWritten || this.isGone || this.batches.every(({ view, bytes }) => bytes.equals(view))
  }

  written(): void {
    this.isWritten = true
    if (!this.options.expectsAnswer) {
      this.lane.flyingCount--
      this.isOver = true
    }
    this.#exchange.onWritten?.()
  }

  /** Answers for what `said` names, in that order; by default a success for every batch, at offset 0. Written before, if it was not. */
  answer(said: readonly Said[] = this.batches.map(() => ({})), options: AnswerOptions = {}): void {
    const { throttleTimeMs = 0, nodeEndpoints = [], isWritten = true } = options
    if (isWritten && !this.isWritten) this.written()
    this.isOver = true
    this.lane.flyingCount--
    const usesIds = this.options.version > 12
    const responses = said.map((each, i) => {
      const { topic, topicId, index } = this.#meant(each, i)
      return {
        name: usesIds ? '' : topic,
        topicId: usesIds ? topicId : new Uint8Array(16),
        partitionResponses: [partitionResponse(each, index)],
      }
    })
    this.#exchange.onAnswer({ responses, throttleTimeMs, nodeEndpoints }, ANSWER_BYTES)
  }

  /** Without a topic of its own an entry is for the batch in its place. A topic that nobody asked about has an id that nobody has. */
  #meant({ topic }: Said, i: number): Pick<SentBatch, 'topic' | 'topicId' | 'index'> {
    if (topic === undefined) return this.batches[i] ?? this.batches[0]!
    return (
      this.batches.find((sent) => sent.topic === topic) ?? { topic, topicId: new Uint8Array(16).fill(255), index: 0 }
    )
  }

  /** The same error for every batch. */
  refuse(errorCode: number, more: Said = {}, options: AnswerOptions = {}): void {
    this.answer(
      this.batches.map(({ topic, index }) => ({ topic, index, errorCode, ...more })),
      options,
    )
  }

  /** For FakeLane alone. */
  fail(cause: KafkaError, mayBeOnTheWire: boolean): void {
    this.isOver = true
    this.lane.flyingCount--
    this.#exchange.onFailed(cause, mayBeOnTheWire)
  }
}

export interface AnswerOptions {
  readonly throttleTimeMs?: number
  readonly nodeEndpoints?: ProduceResponse['nodeEndpoints']
  /** False: the answer overtakes the write callback. */
  readonly isWritten?: boolean
}

type FakeLaneState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting' }
  | { readonly kind: 'open' }
  | { readonly kind: 'backoff'; readonly until: number; readonly cause: KafkaError }
  | { readonly kind: 'closed' }

export class FakeLane {
  readonly nodeId: number
  readonly brokerName: string
  state: FakeLaneState = { kind: 'idle' }
  flyingCount = 0
  unsentBytes = 0
  throttledUntil = 0
  lastError: KafkaError | undefined
  versions: VersionRange = { min: 0, max: 13 }
  /** The sender asked for a connection during the back-off: only then the lane dials again. */
  isWanted = false
  /** Everything ever handed over. */
  readonly requests: FakeRequest[] = []
  /** What nobody had answered when the pool was closed. */
  flyingAtClose: readonly FakeRequest[] = []
  #isConnectionOpen = false
  readonly #now: () => number
  readonly #changed: (lane: FakeLane) => void

  constructor(nodeId: number, now: () => number, changed: (lane: FakeLane) => void) {
    this.nodeId = nodeId
    this.brokerName = `broker ${nodeId} at fake-${nodeId}:9092`
    this.#now = now
    this.#changed = changed
  }

  /** Neither answered nor failed, oldest first. */
  get flying(): FakeRequest[] {
    return this.requests.filter(({ isOver }) => !isOver)
  }

  get newest(): FakeRequest {
    return this.requests[this.requests.length - 1]!
  }

  connect(): void {
    if (this.state.kind === 'idle') this.state = { kind: 'connecting' }
    else if (this.state.kind === 'backoff') this.isWanted = true
  }

  canSend(now: number, maxInFlight: number): boolean {
    return (
      this.state.kind === 'open' &&
      this.#isConnectionOpen &&
      this.flyingCount < maxInFlight &&
      this.throttledUntil <= now &&
      this.unsentBytes === 0
    )
  }

  versionFor<Request, Response>(api: Api<Request, Response>, cap?: number): number {
    return pickVersion(api, this.versions, cap)
  }

  exchange(
    _api: Api<ProduceRequest, ProduceResponse>,
    request: ProduceRequest,
    options: ExchangeOptions,
    exchange: Exchange<ProduceResponse>,
  ): void {
    if (this.state.kind !== 'open') throw new Error('the sender uses a lane that is not open')
    this.flyingCount++
    this.requests.push(new FakeRequest(this, request, options, exchange, this.#now()))
  }

  // ── What the test does ────────────────────────────────────────────────────────────────────────────────────────────

  /** Somebody waits for a connection, and there is none. */
  get mayOpen(): boolean {
    return this.state.kind === 'connecting' || (this.state.kind === 'backoff' && this.isWanted)
  }

  open(): void {
    this.state = { kind: 'open' }
    this.isWanted = false
    this.#isConnectionOpen = true
    this.lastError = undefined
    this.#changed(this)
  }

  /** Something else of the lane has changed: it is writable again, or no longer throttled. */
  tell(): void {
    this.#changed(this)
  }

  /** The connection ends. `mayBeOnTheWire` false for requests of which not a byte had left. */
  drop(mayBeOnTheWire: (request: FakeRequest) => boolean = () => true): void {
    const cause = kafkaError('CONNECTION_CLOSED', `${this.brokerName} closed the connection`)
    this.#endConnection(cause, mayBeOnTheWire)
    this.#backOff(cause)
  }

  /** The broker cannot be reached. */
  refuse(): void {
    this.#backOff(kafkaError('CONNECTION_FAILED', `${this.brokerName} cannot be reached`))
  }

  /** Nothing flies, and nobody has used it for long. */
  rest(): void {
    this.#isConnectionOpen = false
    this.state = { kind: 'idle' }
    this.#changed(this)
  }

  /** With the pool: nobody is told of the lane, only of what flies. */
  close(): void {
    this.state = { kind: 'closed' }
    this.flyingAtClose = this.flying
    this.#endConnection(kafkaError('CLOSED', 'the pool is closed'), () => true)
  }

  #endConnection(cause: KafkaError, mayBeOnTheWire: (request: FakeRequest) => boolean): void {
    this.#isConnectionOpen = false
    for (const request of this.requests) request.isGone = true
    for (const request of this.flying) request.fail(cause, mayBeOnTheWire(request))
  }

  #backOff(cause: KafkaError): void {
    this.lastError = cause
    this.isWanted = false
    this.state = { kind: 'backoff', until: this.#now() + 50, cause }
    this.#changed(this)
  }
}

function sentBatch(topic: string, topicId: Uint8Array, index: number, records: readonly Uint8Array[]): SentBatch {
  if (records.length !== 1) throw new Error(`a batch in ${records.length} pieces`)
  const view = records[0]!
  const bytes = Buffer.from(view)
  const batches = decodeRecordBatches(bytes)
  if (batches.length !== 1) throw new Error(`${batches.length} batches for one partition`)
  return { topic, topicId, index, bytes, view, batch: batches[0]! }
}

function partitionResponse(said: Said, index: number): PartitionProduceResponse {
  return {
    index: said.index ?? index,
    errorCode: said.errorCode ?? 0,
    baseOffset: Long.fromNumber(said.baseOffset ?? (said.errorCode ? -1 : 0)),
    logAppendTimeMs: Long.fromNumber(said.logAppendTimeMs ?? -1),
    logStartOffset: said.logStartOffset ?? Long.fromNumber(said.errorCode ? -1 : 0),
    recordErrors: said.recordErrors ?? [],
    errorMessage: said.errorMessage ?? null,
    currentLeader: said.currentLeader ?? NOBODY,
  }
}
