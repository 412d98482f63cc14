// Cluster: what is known of the cluster, and the one place that asks for more. Reading it is a Map lookup; asking happens beside the
// send path, over the control connection, one request at a time, and everything asked for in one turn shares one request.
// From: the producer (track, topic, refresh, hints). To: topic-book.ts, broker-pool.ts.
//
//   What makes it ask                                  for what            when
//   a topic nobody knew (track)                        that topic          at the end of this turn
//   unknown or leaderless topics and partitions        those               retryBackoffMs, doubling up to retryBackoffMaxMs, each its own
//   refresh(): an answer, a lost connection, a doubt   all tracked topics  at once; later the same back-off while answers change nothing
//   metadataMaxAgeMs                                   all tracked topics  then
//   connect() before the first answer                  the brokers         at the end of this turn
// After a failed request all of them wait for the same back-off, by the number of failures.
import { backoffMs } from '../backoff.ts'
import { type KafkaError, kafkaError } from '../errors.ts'
import { nearestNames } from '../nearest.ts'
import { ZERO_UUID } from '../protocol/api.ts'
import { type BrokerError, brokerError } from '../protocol/error-codes.ts'
import { type MetadataRequest, type MetadataResponse, metadata } from '../protocol/messages/metadata.ts'
import type { BrokerAddress, BrokerPool } from './broker-pool.ts'
import type { NetOptions } from './options.ts'
import { LazyTimer } from './timers.ts'
import { TopicBook } from './topic-book.ts'
import type { TopicMetadata } from './topics.ts'

export type { PartitionMetadata, TopicMetadata } from './topics.ts'

type ClusterState =
  | { readonly kind: 'resting' }
  /** `#look` runs at the end of this turn. */
  | { readonly kind: 'looking' }
  | { readonly kind: 'asking' }
  | { readonly kind: 'closed' }

interface ConnectWaiter {
  resolve(): void
  reject(error: KafkaError): void
}

interface Question {
  readonly kind: 'full' | 'partial'
  readonly names: readonly string[]
  /** Why a full one was wanted, if it was. */
  readonly reason: string | undefined
}

interface Answer {
  readonly version: number
  readonly response: MetadataResponse
}

const NEVER = Number.POSITIVE_INFINITY
const AGE = 'metadataMaxAgeMs'
const REBOOTSTRAP_REQUIRED = 'REBOOTSTRAP_REQUIRED'
// From here on an epoch can be believed (KAFKA-9212).
const RELIABLE_EPOCHS_FROM = 9
// A broker cut off from the rest of its cluster serves old metadata for ever: after so many useless answers another one is asked.
const USELESS_ANSWERS_AT_MOST = 5

export class Cluster {
  /**
   * An answer was taken over; the topics of which `topic()` or `topicError()` says something else now, possibly none. Not called for
   * leader hints: who applies one knows.
   */
  onUpdate: ((changedTopics: ReadonlySet<string>) => void) | undefined
  /** A request for metadata failed; it is repeated as long as anybody needs it. */
  onFailure: ((error: KafkaError) => void) | undefined

  readonly #pool: BrokerPool
  readonly #options: NetOptions
  readonly #book: TopicBook
  readonly #timer: LazyTimer
  #state: ClusterState = { kind: 'resting' }
  #version = 0
  #clusterId: string | null = null
  #controllerId = -1
  #lastError: KafkaError | undefined
  #lastSuccessAt = Number.NEGATIVE_INFINITY
  #hasAnswered = false
  // Why a full refresh is wanted; undefined: it is not.
  #refreshReason: string | undefined
  // Full answers in a row that changed nothing, and the spacing that follows from them.
  #uselessAnswers = 0
  #refreshAllowedAt = 0
  // The last full answer, or a failure while nobody needed anything.
  #agesFrom = NEVER
  #failures = 0
  #retryAt = 0
  // KIP-1102: since when we have been trying in vain.
  #tryingSince: number | undefined
  // Bound: the caller's connect() calls.
  readonly #connecting = new Set<ConnectWaiter>()
  #allNames: Promise<readonly string[]> | undefined

  constructor(pool: BrokerPool, options: NetOptions) {
    this.#pool = pool
    this.#options = options
    this.#book = new TopicBook(options)
    this.#timer = new LazyTimer(options.clock, () => this.#onTimer())
    pool.onRebootstrap = () => this.#book.forgetEpochs()
  }

  /** Grows with each answer taken over and each hint accepted; 0 before the first. */
  get version(): number {
    return this.#version
  }

  /** What the last request failed with; `undefined` after the next answer. */
  get lastError(): KafkaError | undefined {
    return this.#lastError
  }

  /** Instant of the clock of the last answer; -Infinity: there was none. */
  get lastSuccessAt(): number {
    return this.#lastSuccessAt
  }

  get clusterId(): string | null {
    return this.#clusterId
  }

  /** Node id; -1 when unknown. */
  get controllerId(): number {
    return this.#controllerId
  }

  /** What is known of a tracked topic with at least one partition, which may be leaderless; `undefined` otherwise. */
  topic(name: string): TopicMetadata | undefined {
    return this.#book.topic(name)
  }

  /**
   * What the cluster said of the topic last, if that was an error. With `UNKNOWN_TOPIC_OR_PARTITION` and others of that kind it is
   * asked for again, and what `topic` knew stays; `TOPIC_AUTHORIZATION_FAILED` and `INVALID_TOPIC_EXCEPTION` are definite: `topic`
   * knows nothing any more, and only another `track` asks again.
   */
  topicError(name: string): BrokerError | undefined {
    return this.#book.error(name)
  }

  /** Remembers the topic and asks for it, if it is new or was refused before. It is asked for until it is known, or untracked. */
  track(name: string): void {
    if (this.#book.track(name, this.#options.clock.now())) this.#lookSoon()
  }

  /** Nobody waits for it any more: it is forgotten and not asked for again. */
  untrack(name: string): void {
    this.#book.untrack(name)
  }

  /** It was used: `metadataMaxIdleMs` begins anew. To be called for topics with records under way, too. */
  touch(name: string): void {
    this.#book.touch(name, this.#options.clock.now())
  }

  /** What is known is doubtful. `reason` is for the log. */
  refresh(reason: string): void {
    if (this.#refreshReason !== undefined) return
    this.#refreshReason = reason
    this.#lookSoon()
  }

  /**
   * A broker named the leader when it refused to be it (KIP-951). Taken for a newer epoch of a topic that is tracked, with a leader
   * that is known or comes among `endpoints`; its lane exists then.
   * @returns Whether it was taken.
   */
  applyLeaderHint(
    topicName: string,
    partition: number,
    leaderId: number,
    leaderEpoch: number,
    endpoints: readonly BrokerAddress[],
  ): boolean {
    const endpoint = endpoints.find(({ nodeId }) => nodeId === leaderId)
    if (endpoint === undefined && !this.#pool.has(leaderId)) return false
    if (!this.#book.acceptLeader(topicName, partition, leaderId, leaderEpoch)) return false
    if (endpoint !== undefined) this.#pool.addBrokers([endpoint])
    this.#pool.lane(leaderId)
    this.#version++
    return true
  }

  knownTopics(): readonly string[] {
    return this.#book.names().filter((name) => this.#book.topic(name) !== undefined)
  }

  /** Tracked topics that may have been meant; see `suggestTopics`. */
  nearestTopics(name: string): string[] {
    return nearestNames(name, this.knownTopics())
  }

  /**
   * Topics of the whole cluster that may have been meant. Costs a request for all names, which callers at the same time share. Without an
   * answer within `requestTimeoutMs`: what `nearestTopics` says. Never rejects.
   */
  async suggestTopics(name: string): Promise<string[]> {
    this.#allNames ??= this.#askForAllNames().finally(() => {
      this.#allNames = undefined
    })
    return nearestNames(name, [...this.knownTopics(), ...(await this.#allNames)])
  }

  /**
   * Resolves with the first answer of a broker, at once if there was one. Keeps the process alive and tries until then.
   *
   * @throws A failure that trying again cannot mend (an address where no Kafka is, a version that is not spoken); what the last attempt
   *   failed with, or ABORTED, when the signal is aborted; CLOSED.
   */
  async connect(signal?: AbortSignal): Promise<void> {
    if (this.#state.kind === 'closed') throw closedError()
    if (signal?.aborted) throw this.#aborted(signal)
    if (this.#hasAnswered) return
    const release = this.#pool.hold()
    let onAbort: (() => void) | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        const waiter = { resolve, reject }
        this.#connecting.add(waiter)
        onAbort = () => {
          this.#connecting.delete(waiter)
          reject(this.#aborted(signal))
        }
        signal?.addEventListener('abort', onAbort, { once: true })
        this.#lookSoon()
      })
    } finally {
      release()
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Asks no more. Rejects who waits in `connect`. The pool is closed by whoever made it. */
  close(): void {
    this.#state = { kind: 'closed' }
    this.#timer.clear()
    this.#rejectConnecting(closedError())
  }

  #aborted(signal: AbortSignal | undefined): KafkaError {
    return this.#lastError ?? kafkaError('ABORTED', 'The wait for the cluster was ended', { cause: signal?.reason })
  }

  // All calls of one turn end in one look.
  #lookSoon(): void {
    if (this.#state.kind !== 'resting') return
    this.#state = { kind: 'looking' }
    this.#options.clock.soon(() => {
      if (this.#state.kind !== 'looking') return
      this.#state = { kind: 'resting' }
      this.#look()
    })
  }

  #onTimer(): void {
    if (this.#state.kind === 'resting') this.#look()
    else if (this.#state.kind === 'asking') {
      this.#rebootstrapWhenDue(this.#options.clock.now())
      this.#watchRebootstrap()
    }
  }

  #look(): void {
    const now = this.#options.clock.now()
    const at = this.#nextAskAt(now)
    if (at > now) {
      this.#timer.set(at)
      return
    }
    this.#state = { kind: 'asking' }
    this.#tryingSince ??= now
    this.#watchRebootstrap()
    void this.#ask(now)
  }

  #nextAskAt(now: number): number {
    const needed = Math.min(
      this.#book.nextAskAt(),
      this.#refreshReason === undefined ? NEVER : this.#refreshAllowedAt,
      this.#connecting.size > 0 ? now : NEVER,
      this.#agesFrom + this.#options.metadataMaxAgeMs,
    )
    return Math.max(needed, this.#retryAt)
  }

  #question(now: number): Question {
    if (this.#agesFrom + this.#options.metadataMaxAgeMs <= now) this.#refreshReason ??= AGE
    const reason = this.#refreshReason
    const isFull = !this.#hasAnswered || (reason !== undefined && this.#refreshAllowedAt <= now)
    if (!isFull) return { kind: 'partial', names: this.#book.namesDue(now), reason: undefined }
    // From here on another doubt is a new one: the answer may have been made before it came up.
    this.#refreshReason = undefined
    return { kind: 'full', names: this.#book.namesToRefresh(), reason }
  }

  // Never rejects: it runs on its own.
  async #ask(now: number): Promise<void> {
    const dropped = this.#book.dropIdle(now)
    const question = this.#question(now)
    this.#options.log.debug({ ...question }, 'asking for metadata')
    try {
      const answer = await this.#request(question.names, this.#options.allowAutoTopicCreation)
      if (this.#state.kind === 'asking') this.#take(question, answer, dropped)
    } catch (error) {
      if (this.#state.kind === 'asking') this.#failed(question, error as KafkaError)
    }
    if (this.#state.kind !== 'asking') return
    this.#state = { kind: 'resting' }
    this.#look()
  }

  /** `names: null`: all topics. */
  async #request(names: readonly string[] | null, allowAutoTopicCreation: boolean): Promise<Answer> {
    let version = 0
    const build = (agreed: number): MetadataRequest => {
      version = agreed
      return {
        // From version 1 on an empty list is no topic at all, so that only the brokers are told.
        topics: names === null ? null : names.map((name) => ({ topicId: ZERO_UUID, name })),
        // Before version 4 there is no choice.
        allowAutoTopicCreation: allowAutoTopicCreation || agreed < 4,
        includeClusterAuthorizedOperations: false,
        includeTopicAuthorizedOperations: false,
      }
    }
    const response = await this.#pool.control(metadata, build, { keepAlive: false })
    return { version, response }
  }

  #take(question: Question, { version, response }: Answer, dropped: readonly string[]): void {
    const { errorCode, brokers, topics, clusterId, controllerId } = response
    if (errorCode !== 0) throw this.#refused(brokerError(errorCode))
    if (brokers.length === 0) {
      throw kafkaError('BROKER_NOT_AVAILABLE', 'The metadata answer lists no brokers', { retriable: true })
    }
    const now = this.#options.clock.now()
    const brokersChanged = this.#pool.setBrokers(brokers)
    const context = {
      epochsAreReliable: version >= RELIABLE_EPOCHS_FROM,
      isListed: (nodeId: number) => this.#pool.has(nodeId),
    }
    const changed = this.#book.accept(question.names, topics, context, now)
    if (question.kind === 'full') this.#space(brokersChanged || changed.size > 0, question.reason, now)
    for (const name of dropped) changed.add(name)

    if (this.#clusterId !== null && clusterId !== this.#clusterId) {
      const fields = { before: this.#clusterId, now: clusterId }
      this.#options.log.warn(fields, 'the cluster id changed: these addresses lead to another cluster now')
    }
    this.#clusterId = clusterId
    this.#controllerId = controllerId
    this.#hasAnswered = true
    this.#lastError = undefined
    this.#lastSuccessAt = now
    this.#failures = 0
    this.#retryAt = 0
    this.#tryingSince = undefined
    this.#version++
    for (const { resolve } of this.#connecting) resolve()
    this.#connecting.clear()
    this.#tell(() => this.onUpdate?.(changed))
  }

  // When the next full refresh may follow. Answers that change nothing come when a leader is lost and no other chosen yet.
  #space(changed: boolean, reason: string | undefined, now: number): void {
    const { retryBackoffMs, retryBackoffMaxMs, random } = this.#options
    const isSeries = now - this.#agesFrom <= 2 * retryBackoffMaxMs
    this.#uselessAnswers = changed ? 0 : isSeries ? this.#uselessAnswers + 1 : 1
    const attempt = Math.max(0, this.#uselessAnswers - 1)
    this.#refreshAllowedAt = now + backoffMs(attempt, retryBackoffMs, retryBackoffMaxMs, random)
    this.#agesFrom = now
    if (this.#uselessAnswers > 0 && this.#uselessAnswers % USELESS_ANSWERS_AT_MOST === 0 && reason !== AGE) {
      this.#pool.moveControl()
    }
  }

  #refused(error: BrokerError): KafkaError {
    if (error.name === REBOOTSTRAP_REQUIRED && this.#options.metadataRecoveryStrategy === 'rebootstrap') {
      this.#pool.rebootstrap()
    }
    return kafkaError(error.name, `The broker refused to describe the cluster: ${error.meaning}`, {
      retriable: error.retriable || error.name === REBOOTSTRAP_REQUIRED,
    })
  }

  #failed(question: Question, error: KafkaError): void {
    const { clock, retryBackoffMs, retryBackoffMaxMs, random, log } = this.#options
    const now = clock.now()
    this.#lastError = error
    this.#retryAt = now + backoffMs(this.#failures++, retryBackoffMs, retryBackoffMaxMs, random)
    if (this.#book.size > 0) {
      if (question.kind === 'full') this.#refreshReason ??= question.reason
    } else if (this.#connecting.size === 0) {
      // Nobody needs anything: an idle producer whose cluster is down does not knock every second.
      this.#refreshReason = undefined
      if (this.#hasAnswered) this.#agesFrom = now
    }
    this.#rebootstrapWhenDue(now)
    log.warn({ code: error.code, failures: this.#failures }, `no metadata: ${error.message}`)
    if (!error.retriable) this.#rejectConnecting(error)
    this.#tell(() => this.onFailure?.(error))
  }

  // While a request is under way the timer has nothing else to do.
  #watchRebootstrap(): void {
    const { metadataRecoveryStrategy, metadataRecoveryRebootstrapTriggerMs } = this.#options
    if (metadataRecoveryStrategy === 'none' || this.#tryingSince === undefined) return
    this.#timer.set(this.#tryingSince + metadataRecoveryRebootstrapTriggerMs)
  }

  #rebootstrapWhenDue(now: number): void {
    const { metadataRecoveryStrategy, metadataRecoveryRebootstrapTriggerMs } = this.#options
    if (metadataRecoveryStrategy === 'none' || this.#tryingSince === undefined || !this.#hasAnswered) return
    if (this.#tryingSince + metadataRecoveryRebootstrapTriggerMs > now) return
    this.#tryingSince = now
    this.#pool.rebootstrap()
  }

  async #askForAllNames(): Promise<readonly string[]> {
    try {
      const { response } = await this.#request(null, false)
      return response.topics.flatMap(({ name, errorCode, isInternal }) =>
        name === null || errorCode !== 0 || isInternal ? [] : [name],
      )
    } catch (error) {
      this.#options.log.debug({ err: error }, 'no list of topics to suggest a name from')
      return []
    }
  }

  #rejectConnecting(error: KafkaError): void {
    for (const { reject } of this.#connecting) reject(error)
    this.#connecting.clear()
  }

  #tell(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      this.#options.log.error({ err: error }, 'a listener of the cluster threw')
    }
  }
}

const closedError = (): KafkaError => kafkaError('CLOSED', 'The producer was closed')
