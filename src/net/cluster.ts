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
import { type KafkaError, kafkaError } from '../errors.ts'
import { nearestNames } from '../nearest.ts'
import { type BrokerError, brokerError } from '../protocol/error-codes.ts'
import type { BrokerAddress, BrokerPool } from './broker-pool.ts'
import { FirstAnswer } from './first-answer.ts'
import { type MetadataAnswer, requestAllNames, requestMetadata } from './metadata-request.ts'
import type { NetOptions } from './options.ts'
import { Pace } from './pace.ts'
import { reachBroker } from './reach-broker.ts'
import { closedError } from './reach-errors.ts'
import { LazyTimer } from './timers.ts'
import { TopicBook } from './topic-book.ts'
import type { TopicMetadata } from './topics.ts'

export type { TopicMetadata } from './topics.ts'

type ClusterState =
  | { readonly kind: 'resting' }
  /** `#look` runs at the end of this turn. */
  | { readonly kind: 'looking' }
  | { readonly kind: 'asking' }
  | { readonly kind: 'closed' }

interface Question {
  /** About all tracked topics, not only those that cannot wait. */
  readonly isFull: boolean
  readonly reason: string | undefined
  readonly names: readonly string[]
}

const REBOOTSTRAP_REQUIRED = 'REBOOTSTRAP_REQUIRED'
// From here on an epoch can be believed (KAFKA-9212).
const RELIABLE_EPOCHS_FROM = 9

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
  readonly #pace: Pace
  readonly #timer: LazyTimer
  #state: ClusterState = { kind: 'resting' }
  #version = 0
  #clusterId: string | null = null
  #controllerId = -1
  #lastError: KafkaError | undefined
  #lastSuccessAt = 0
  readonly #firstAnswer = new FirstAnswer()
  // Topics forgotten since the last update. Bound: the topics that were known then.
  readonly #dropped: string[] = []
  #allNames: Promise<readonly string[]> | undefined

  constructor(pool: BrokerPool, options: NetOptions) {
    this.#pool = pool
    this.#options = options
    this.#book = new TopicBook(options)
    this.#pace = new Pace(options)
    this.#timer = new LazyTimer(options.clock, () => this.#onTimer())
  }

  /** Grows with each answer taken over and each hint accepted; 0 before the first. */
  get version(): number {
    return this.#version
  }

  /** What the last request failed with; `undefined` after the next answer. */
  get lastError(): KafkaError | undefined {
    return this.#lastError
  }

  /** Instant of the clock of the last answer; 0: there was none. */
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
    if (this.#pace.want(reason)) this.#lookSoon()
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
   * Topics of the whole cluster that may have been meant. Costs a request for all names, which callers at the same time share; when that
   * fails, what `nearestTopics` says. Never rejects.
   */
  async suggestTopics(name: string): Promise<string[]> {
    this.#allNames ??= requestAllNames(this.#pool).finally(() => {
      this.#allNames = undefined
    })
    try {
      return nearestNames(name, await this.#allNames)
    } catch (error) {
      this.#options.log.debug({ err: error }, 'no list of topics to suggest a name from')
      return this.nearestTopics(name)
    }
  }

  /**
   * Resolves when the cluster has been described once and one of its brokers can be spoken to where it is advertised; a lane to that one
   * is open then. Keeps the process alive and tries until then.
   *
   * @throws A failure that trying again cannot mend (an address where no Kafka is, a version that is not spoken); what the last attempt
   *   failed with, or ABORTED, when the signal is aborted; CLOSED.
   */
  async connect(signal?: AbortSignal): Promise<void> {
    if (this.#state.kind === 'closed') throw closedError()
    if (signal?.aborted) throw this.#aborted(signal)
    const release = this.#pool.hold()
    try {
      if (!this.#pace.hasAnswered) {
        const answered = this.#firstAnswer.wait(signal, () => this.#aborted(signal))
        this.#lookSoon()
        await answered
      }
      await reachBroker(this.#pool, signal)
    } finally {
      release()
    }
  }

  /** Asks no more. Rejects who waits in `connect`. The pool is closed by whoever made it. */
  close(): void {
    this.#state = { kind: 'closed' }
    this.#timer.clear()
    this.#firstAnswer.failed(closedError())
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
    else if (this.#state.kind === 'asking') this.#rebootstrapWhenDue()
  }

  #look(): void {
    const now = this.#options.clock.now()
    const at = this.#pace.nextAskAt(now, this.#book.nextAskAt(), this.#firstAnswer.isAwaited)
    if (at > now) this.#timer.set(at)
    else void this.#ask(now)
  }

  // Never rejects: it runs on its own.
  async #ask(now: number): Promise<void> {
    this.#state = { kind: 'asking' }
    this.#dropped.push(...this.#book.dropIdle(now))
    const { isFull, reason } = this.#pace.begin(now)
    const names = isFull ? this.#book.namesToRefresh() : this.#book.namesDue(now)
    this.#timer.set(this.#pace.rebootstrapAt)
    this.#options.log.debug({ topics: names, isFull, reason }, 'asking for metadata')
    try {
      const { allowAutoTopicCreation } = this.#options
      const answer = await requestMetadata(this.#pool, names, { allowAutoTopicCreation, keepAlive: false })
      if (this.#state.kind === 'asking') this.#take({ isFull, reason, names }, answer)
    } catch (error) {
      if (this.#state.kind === 'asking') this.#failed(reason, error as KafkaError)
    }
    if (this.#state.kind !== 'asking') return
    this.#state = { kind: 'resting' }
    this.#look()
  }

  #take({ isFull, reason, names }: Question, { version, response }: MetadataAnswer): void {
    const { errorCode, brokers, topics, clusterId, controllerId } = response
    if (errorCode !== 0) throw this.#refused(brokerError(errorCode))
    if (brokers.length === 0) {
      throw kafkaError('BROKER_NOT_AVAILABLE', 'The metadata answer lists no brokers', { retriable: true })
    }
    if (this.#clusterId !== null && clusterId !== this.#clusterId) {
      const fields = { before: this.#clusterId, now: clusterId }
      this.#options.log.warn(fields, 'the cluster id changed: these addresses lead to another cluster now')
      this.#book.forgetEpochs()
    }
    this.#clusterId = clusterId
    this.#controllerId = controllerId
    const now = this.#options.clock.now()
    const brokersChanged = this.#pool.setBrokers(brokers)
    const context = {
      epochsAreReliable: version >= RELIABLE_EPOCHS_FROM,
      isListed: (nodeId: number) => this.#pool.has(nodeId),
    }
    const changed = this.#book.accept(names, topics, context, now)
    this.#pace.answered()
    if (isFull && !this.#pace.answeredFull(brokersChanged || changed.size > 0, reason, now)) this.#pool.moveControl()
    for (const name of this.#dropped.splice(0)) changed.add(name)
    this.#lastError = undefined
    this.#lastSuccessAt = now
    this.#version++
    this.#firstAnswer.came()
    this.#tell(() => this.onUpdate?.(changed))
  }

  #refused(error: BrokerError): KafkaError {
    const mayRebootstrap = this.#options.metadataRecoveryStrategy === 'rebootstrap'
    if (error.name === REBOOTSTRAP_REQUIRED && mayRebootstrap) this.#rebootstrap()
    return kafkaError(error.name, `The broker refused to describe the cluster: ${error.meaning}`, {
      retriable: error.retriable || error.name === REBOOTSTRAP_REQUIRED,
    })
  }

  #failed(reason: string | undefined, error: KafkaError): void {
    this.#lastError = error
    this.#pace.failed(reason, this.#book.size > 0 || this.#firstAnswer.isAwaited, this.#options.clock.now())
    this.#rebootstrapWhenDue()
    this.#options.log.warn({ code: error.code, failures: this.#pace.failures }, `no metadata: ${error.message}`)
    if (!error.retriable) this.#firstAnswer.failed(error)
    this.#tell(() => this.onFailure?.(error))
  }

  // Also while a request is under way, which may be what hangs: the timer has nothing else to do then.
  #rebootstrapWhenDue(): void {
    const now = this.#options.clock.now()
    if (this.#pace.rebootstrapAt <= now) {
      this.#pace.rebootstrapped(now)
      this.#rebootstrap()
    }
    this.#timer.set(this.#pace.rebootstrapAt)
  }

  // What comes next may be another cluster.
  #rebootstrap(): void {
    this.#book.forgetEpochs()
    this.#pool.rebootstrap()
  }

  #tell(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      this.#options.log.error({ err: error }, 'a listener of the cluster threw')
    }
  }
}
