// Faults: what goes wrong, when, and how often, as rules that a test writes in one line:
//   cluster.on('Produce', { topic: 'orders', partition: 0, nth: 2 }).error('NOT_ENOUGH_REPLICAS')
// From: fake-cluster.ts for the test. To: broker.ts, which asks for the plan of a request when its turn comes.
//
// A rule counts the requests that match it; from the nth on it works `times` times, then never again. For each kind of effect the first
// rule that is ready takes a request (for outcomes of partitions: a partition in a request), and later ones do not see it: two errors for
// one partition come one after the other, while a delay and an error meet in one request.
import { type ApiName, errorCode, type ResponseOf } from './apis.ts'
import { deferred } from './deferred.ts'
import type { LoggedRequest } from './request-log.ts'

export interface FaultFilter<Name extends ApiName = ApiName> {
  readonly topic?: string
  /** Only with Produce and Metadata. */
  readonly partition?: number
  /** Node id of the broker that the request came to. */
  readonly broker?: number
  /** Begins with the nth request that matches; default 1. */
  readonly nth?: number
  /** Works so often; default 1, `Infinity` for always. */
  readonly times?: number
  readonly where?: (request: LoggedRequest<Name>) => boolean
}

/** Before the batch is stored (or the request is looked at), or after. */
export type Phase = 'before' | 'after'

/** What becomes of one partition of a Produce request, of a topic or partition of Metadata, or of the whole of another request. */
export type PartitionEffect =
  | { readonly kind: 'error'; readonly phase: Phase; readonly error: string }
  | { readonly kind: 'recordErrors'; readonly error: string; readonly messages: Readonly<Record<number, string>> }
  | { readonly kind: 'omit'; readonly phase: Phase }

export type TransportEffect =
  /** The connection is reset. */
  | { readonly kind: 'drop'; readonly phase: Phase }
  /** No answer ever, and nothing that comes later on this connection is handled: a broker takes one request at a time. */
  | { readonly kind: 'swallow'; readonly phase: Phase }
  /** These bytes in place of an answer; the request is not handled. */
  | { readonly kind: 'reply'; readonly bytes: Uint8Array; readonly thenClose: boolean }

type Effect =
  | PartitionEffect
  | TransportEffect
  | { readonly kind: 'delay'; readonly phase: Phase; readonly until: Promise<unknown> }
  | { readonly kind: 'throttle'; readonly throttleTimeMs: number }
  | { readonly kind: 'edit'; readonly edit: (response: never) => unknown }
  | { readonly kind: 'rewrite'; readonly rewrite: (frame: Buffer) => Uint8Array; readonly thenClose: boolean }

type EffectClass = 'outcome' | 'transport' | 'delayBefore' | 'delayAfter' | 'throttle' | 'edit' | 'rewrite'

function classOf(effect: Effect): EffectClass {
  switch (effect.kind) {
    case 'error':
    case 'recordErrors':
    case 'omit':
      return 'outcome'
    case 'drop':
    case 'swallow':
    case 'reply':
      return 'transport'
    case 'delay':
      return effect.phase === 'before' ? 'delayBefore' : 'delayAfter'
    default:
      return effect.kind
  }
}

/** A rule that stands. */
export interface Fault {
  /** How often it worked. */
  readonly hits: number
  /** Settles when it works for the first time. */
  readonly hit: Promise<void>
  /** It works no more. */
  remove(): void
}

/** What an effect is chosen from. Each call adds one rule. */
export interface FaultBuilder<Name extends ApiName> {
  /** Answers with this error in place of doing what is asked. */
  error(name: string): Fault
  /** Does what is asked, and answers with this error all the same. */
  appendThenError(name: string): Fault
  /** Refuses these records of the batch, and with them the batch (KIP-467). Default error INVALID_RECORD. */
  recordErrors(messages: Readonly<Record<number, string>>, error?: string): Fault
  /** Stores the batch and leaves its partition out of the answer. */
  omitPartition(): Fault
  /** Leaves the partition out of the answer without storing its batch. */
  ignorePartition(): Fault
  /** Resets the connection without handling the request. */
  dropBefore(): Fault
  /** Handles the request and resets the connection in place of an answer. */
  appendThenDrop(): Fault
  /** Never answers and does not handle the request, nor any later one on this connection. */
  swallow(): Fault
  /** Handles the request, never answers, and handles no later one on this connection. */
  appendThenSwallow(): Fault
  /**
   * Handles the request, and those behind it, only when the promise has settled; also when its connection has ended meanwhile, as a
   * broker does with what it has read.
   */
  delay(until: Promise<unknown>): Fault
  /** Handles the request at once and holds the answer back. */
  delayAnswer(until: Promise<unknown>): Fault
  /** Sends these bytes in place of an answer and does not handle the request. */
  reply(bytes: Uint8Array, options?: { readonly thenClose?: boolean }): Fault
  /** Asks the client to hold its requests on this connection for so long (KIP-219). */
  throttle(throttleTimeMs: number): Fault
  /** Changes the answer before it is encoded. */
  edit(edit: (response: ResponseOf[Name]) => ResponseOf[Name]): Fault
  /** Changes the answer's bytes, the size in front included. */
  rewrite(rewrite: (frame: Buffer) => Uint8Array, options?: { readonly thenClose?: boolean }): Fault
}

/** All that rules say about one request. */
export interface Plan {
  /** For one partition of Produce or Metadata; without arguments for the whole request. */
  outcome(topic?: string, partition?: number): PartitionEffect | undefined
  /** For a whole topic of Metadata: of a rule that names no partition. */
  topicOutcome(topic: string): PartitionEffect | undefined
  readonly transport: TransportEffect | undefined
  readonly delayBefore: Promise<unknown> | undefined
  readonly delayAfter: Promise<unknown> | undefined
  readonly throttleTimeMs: number
  edit<Response>(response: Response): Response
  readonly rewrite: { readonly rewrite: (frame: Buffer) => Uint8Array; readonly thenClose: boolean } | undefined
}

class Rule implements Fault {
  readonly effect: Effect
  readonly effectClass: EffectClass
  readonly #api: ApiName
  readonly #filter: FaultFilter
  readonly #hit = deferred()
  #seen = 0
  #isRemoved = false
  hits = 0

  constructor(api: ApiName, filter: FaultFilter, effect: Effect) {
    this.#api = api
    this.#filter = filter
    this.effect = effect
    this.effectClass = classOf(effect)
  }

  get hit(): Promise<void> {
    return this.#hit.promise
  }

  remove(): void {
    this.#isRemoved = true
  }

  get filter(): FaultFilter {
    return this.#filter
  }

  matches(request: LoggedRequest): boolean {
    const { broker, topic, partition, where } = this.#filter
    if (this.#isRemoved || this.#api !== request.api) return false
    if (broker !== undefined && broker !== request.broker) return false
    if (topic !== undefined && !request.topics.includes(topic)) return false
    if (partition !== undefined && request.api === 'Produce') {
      const carried = request.batches.some(
        (batch) => batch.partition === partition && (topic === undefined || batch.topic === topic),
      )
      if (!carried) return false
    }
    return where?.(request) ?? true
  }

  /** Counts the request; true: the rule works on it. */
  take(): boolean {
    this.#seen++
    const { nth = 1, times = 1 } = this.#filter
    if (this.#seen < nth || this.hits >= times) return false
    this.hits++
    this.#hit.resolve()
    return true
  }

  get isSpent(): boolean {
    return this.#isRemoved || this.hits >= (this.#filter.times ?? 1)
  }
}

export class Faults {
  #rules: Rule[] = []

  on<Name extends ApiName>(api: Name, filter: FaultFilter<Name> = {}): FaultBuilder<Name> {
    const add = (effect: Effect): Fault => {
      const rule = new Rule(api, filter as FaultFilter, effect)
      this.#rules.push(rule)
      return rule
    }
    return {
      error: (error) => add({ kind: 'error', phase: 'before', error: existing(error) }),
      appendThenError: (error) => add({ kind: 'error', phase: 'after', error: existing(error) }),
      recordErrors: (messages, error = 'INVALID_RECORD') =>
        add({ kind: 'recordErrors', error: existing(error), messages }),
      omitPartition: () => add({ kind: 'omit', phase: 'after' }),
      ignorePartition: () => add({ kind: 'omit', phase: 'before' }),
      dropBefore: () => add({ kind: 'drop', phase: 'before' }),
      appendThenDrop: () => add({ kind: 'drop', phase: 'after' }),
      swallow: () => add({ kind: 'swallow', phase: 'before' }),
      appendThenSwallow: () => add({ kind: 'swallow', phase: 'after' }),
      delay: (until) => add({ kind: 'delay', phase: 'before', until }),
      delayAnswer: (until) => add({ kind: 'delay', phase: 'after', until }),
      reply: (bytes, { thenClose = false } = {}) => add({ kind: 'reply', bytes, thenClose }),
      throttle: (throttleTimeMs) => add({ kind: 'throttle', throttleTimeMs }),
      edit: (edit) => add({ kind: 'edit', edit: edit as (response: never) => unknown }),
      rewrite: (rewrite, { thenClose = false } = {}) => add({ kind: 'rewrite', rewrite, thenClose }),
    }
  }

  /** Rules that have not worked as often as they should: a test whose fault never came has proved nothing. */
  get unspent(): readonly Fault[] {
    return this.#rules.filter((rule) => !rule.isSpent && Number.isFinite(rule.filter.times ?? 1))
  }

  planFor(request: LoggedRequest): Plan {
    this.#rules = this.#rules.filter((rule) => !rule.isSpent)
    const candidates = this.#rules.filter((rule) => rule.matches(request))
    const outcomes = outcomesOf(candidates, request)
    const transport = firstOf(candidates, 'transport') as TransportEffect | undefined
    const delayBefore = firstOf(candidates, 'delayBefore')
    const delayAfter = firstOf(candidates, 'delayAfter')
    const throttle = firstOf(candidates, 'throttle')
    const edit = firstOf(candidates, 'edit')
    const rewrite = firstOf(candidates, 'rewrite')
    return {
      outcome: (topic, partition) => outcomes.find((each) => concerns(each.filter, topic, partition))?.effect,
      topicOutcome: (topic) =>
        outcomes.find((each) => each.filter.partition === undefined && concerns(each.filter, topic, undefined))?.effect,
      transport,
      delayBefore: delayBefore?.kind === 'delay' ? delayBefore.until : undefined,
      delayAfter: delayAfter?.kind === 'delay' ? delayAfter.until : undefined,
      throttleTimeMs: throttle?.kind === 'throttle' ? throttle.throttleTimeMs : 0,
      edit: (response) => (edit?.kind === 'edit' ? (edit.edit(response as never) as typeof response) : response),
      rewrite: rewrite?.kind === 'rewrite' ? rewrite : undefined,
    }
  }
}

// A misspelt error fails where it stands, not in the broker.
function existing(error: string): string {
  errorCode(error)
  return error
}

// Rules of one class in the order they were written: the first that is ready takes the request.
function firstOf(candidates: readonly Rule[], effectClass: EffectClass): Effect | undefined {
  return candidates.find((rule) => rule.effectClass === effectClass && rule.take())?.effect
}

interface PlannedOutcome {
  readonly filter: FaultFilter
  readonly effect: PartitionEffect
}

// Each subject of the request (a partition, a topic, or the whole) goes to the first rule that is ready; a rule takes all its subjects in
// one request as one hit.
function outcomesOf(candidates: readonly Rule[], request: LoggedRequest): PlannedOutcome[] {
  const taken: PlannedOutcome[] = []
  const isOpen = (topic?: string, partition?: number) => !taken.some((each) => concerns(each.filter, topic, partition))
  const subjects = subjectsOf(request)
  for (const rule of candidates) {
    if (rule.effectClass !== 'outcome') continue
    const hasSubject = subjects.some(
      ([topic, partition]) => concerns(rule.filter, topic, partition) && isOpen(topic, partition),
    )
    if (hasSubject && rule.take()) taken.push({ filter: rule.filter, effect: rule.effect as PartitionEffect })
  }
  return taken
}

type Subject = readonly [topic?: string, partition?: number]

function subjectsOf(request: LoggedRequest): Subject[] {
  if (request.api === 'Produce') return request.batches.map((batch) => [batch.topic, batch.partition])
  if (request.topics.length > 0) return request.topics.map((topic) => [topic])
  return [[]]
}

function concerns(filter: FaultFilter, topic: string | undefined, partition: number | undefined): boolean {
  if (filter.topic !== undefined && topic !== undefined && filter.topic !== topic) return false
  return filter.partition === undefined || partition === undefined || filter.partition === partition
}
