// Topic book: the topics that somebody uses, what is known of each, and when each must be asked for again. Holds the time of things, but
// no timer and no request: cluster.ts has those.
// From: cluster.ts. To: topics.ts.
import { backoffMs } from '../backoff.ts'
import { type BrokerError, brokerError } from '../protocol/error-codes.ts'
import type { MetadataResponseTopic } from '../protocol/messages/metadata.ts'
import type { NetOptions } from './options.ts'
import { isLeaderless, type MergeContext, mergeTopic, type TopicMetadata, withLeader, withoutEpochs } from './topics.ts'

interface Entry {
  readonly name: string
  usedAt: number
  /** The instant from which on it must be asked for; Infinity: what is known will do. */
  askAt: number
  /** Answers in a row that left the topic, or one of its partitions, without use. */
  attempts: number
  /** The back-off after the last of them: not to be asked for again before this instant. */
  againAt: number
  topic: TopicMetadata | undefined
  error: BrokerError | undefined
}

const NEVER = Number.POSITIVE_INFINITY
const LEADER_NOT_AVAILABLE = 5
// Asking again does not help before somebody changes something: said to the caller at once. Everything else may pass.
const DEFINITE: ReadonlySet<string> = new Set(['TOPIC_AUTHORIZATION_FAILED', 'INVALID_TOPIC_EXCEPTION'])

const isDefinite = ({ error }: Entry): boolean => error !== undefined && DEFINITE.has(error.name)

export class TopicBook {
  readonly #options: Pick<NetOptions, 'retryBackoffMs' | 'retryBackoffMaxMs' | 'metadataMaxIdleMs' | 'random'>
  // Bound: the topics in use; those unused for metadataMaxIdleMs go with the next full request.
  readonly #entries = new Map<string, Entry>()

  constructor(options: Pick<NetOptions, 'retryBackoffMs' | 'retryBackoffMaxMs' | 'metadataMaxIdleMs' | 'random'>) {
    this.#options = options
  }

  get size(): number {
    return this.#entries.size
  }

  topic(name: string): TopicMetadata | undefined {
    return this.#entries.get(name)?.topic
  }

  error(name: string): BrokerError | undefined {
    return this.#entries.get(name)?.error
  }

  names(): string[] {
    return [...this.#entries.keys()]
  }

  /** Those that a full request asks for: all but the ones whose error is definite. */
  namesToRefresh(): string[] {
    return [...this.#entries.values()].filter((entry) => !isDefinite(entry)).map(({ name }) => name)
  }

  /** Those that cannot wait for the next full request. */
  namesDue(now: number): string[] {
    return [...this.#entries.values()].filter(({ askAt }) => askAt <= now).map(({ name }) => name)
  }

  nextAskAt(): number {
    let earliest = NEVER
    for (const { askAt } of this.#entries.values()) earliest = Math.min(earliest, askAt)
    return earliest
  }

  /** @returns Whether it must be asked for. A topic whose error was definite gets another chance, and its error is forgotten. */
  track(name: string, now: number): boolean {
    const entry = this.#entries.get(name)
    if (entry === undefined) {
      this.#entries.set(name, {
        name,
        usedAt: now,
        askAt: now,
        attempts: 0,
        againAt: 0,
        topic: undefined,
        error: undefined,
      })
      return true
    }
    entry.usedAt = now
    if (!isDefinite(entry)) return false
    entry.error = undefined
    // In a loop of sends to a topic that is refused, each is a chance; the spacing is that of any other attempt.
    entry.askAt = Math.max(now, entry.againAt)
    return true
  }

  touch(name: string, now: number): void {
    const entry = this.#entries.get(name)
    if (entry !== undefined) entry.usedAt = now
  }

  untrack(name: string): void {
    this.#entries.delete(name)
  }

  /** What was not used for `metadataMaxIdleMs` goes. Never a topic that is still being asked for: somebody waits for that one. */
  dropIdle(now: number): string[] {
    const dropped: string[] = []
    for (const entry of this.#entries.values()) {
      if (entry.topic === undefined && !isDefinite(entry)) continue
      if (entry.usedAt + this.#options.metadataMaxIdleMs <= now) dropped.push(entry.name)
    }
    for (const name of dropped) this.#entries.delete(name)
    return dropped
  }

  /**
   * Takes over an answer to a request that asked for `asked`. Topics that nobody tracks any more are passed over.
   * @returns The topics of which `topic()` or `error()` now says something else.
   */
  accept(
    asked: readonly string[],
    answers: readonly MetadataResponseTopic[],
    context: MergeContext,
    now: number,
  ): Set<string> {
    const byName = new Map(answers.map((answer) => [answer.name, answer]))
    const changed = new Set<string>()
    for (const name of asked) {
      const entry = this.#entries.get(name)
      if (entry === undefined) continue
      const { topic, error } = entry
      this.#take(entry, byName.get(name), context, now)
      if (entry.topic !== topic || entry.error !== error) changed.add(name)
    }
    return changed
  }

  /** @returns Whether that was news (KIP-951). */
  acceptLeader(name: string, partition: number, leader: number, leaderEpoch: number): boolean {
    const entry = this.#entries.get(name)
    const updated = entry?.topic && withLeader(entry.topic, partition, leader, leaderEpoch)
    if (entry === undefined || updated === undefined) return false
    entry.topic = updated
    if (!isLeaderless(updated)) this.#rest(entry)
    return true
  }

  /** What comes next may be another cluster, whose epochs are not to be compared with these. */
  forgetEpochs(): void {
    for (const entry of this.#entries.values()) if (entry.topic !== undefined) entry.topic = withoutEpochs(entry.topic)
  }

  #take(entry: Entry, answer: MetadataResponseTopic | undefined, context: MergeContext, now: number): void {
    // Left out of the answer, though asked for: says nothing about the topic.
    if (answer === undefined) this.#askAgain(entry, now)
    else if (answer.errorCode !== 0) this.#takeError(entry, brokerError(answer.errorCode), now)
    else {
      const topic = mergeTopic(entry.topic, answer, context)
      // No error and no partitions: a topic that is being made (franz-go B35). What was known stays.
      if (topic.partitions.length === 0) this.#takeError(entry, brokerError(LEADER_NOT_AVAILABLE), now)
      else {
        entry.topic = topic
        entry.error = undefined
        if (isLeaderless(topic)) this.#askAgain(entry, now)
        else this.#rest(entry)
      }
    }
  }

  // Unknown, or without a leader: what was known stays. A broker that has just started answers so for topics that are well, and a
  // topic that is really gone is refused by its leaders.
  #takeError(entry: Entry, error: BrokerError, now: number): void {
    entry.error = error
    this.#askAgain(entry, now)
    if (!isDefinite(entry)) return
    entry.topic = undefined
    entry.askAt = NEVER
  }

  #askAgain(entry: Entry, now: number): void {
    const { retryBackoffMs, retryBackoffMaxMs, random } = this.#options
    entry.againAt = now + backoffMs(entry.attempts++, retryBackoffMs, retryBackoffMaxMs, random)
    entry.askAt = entry.againAt
  }

  #rest(entry: Entry): void {
    entry.attempts = 0
    entry.againAt = 0
    entry.askAt = NEVER
  }
}
