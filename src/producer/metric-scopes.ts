// Metric scopes: what is kept of all records together, of each topic and of each broker.
// From: metrics.ts adds to it. To: metric-snapshot.ts reads it.

import { Counter, Histogram, Spread } from './stats.ts'

export const newOverall = () => ({
  recordsSent: new Counter(),
  recordsDelivered: new Counter(),
  recordsFailed: new Counter(),
  recordsRetried: new Counter(),
  dropped: new Counter(),
  refused: new Counter(),
  exhausted: new Counter(),
  splits: new Counter(),
  recordSize: new Spread(),
  batchSize: new Spread(),
  recordsPerRequest: new Spread(),
  compression: new Spread(),
  queueTime: new Spread(),
  requests: new Counter(),
  responses: new Counter(),
  requestSize: new Spread(),
  bytesOut: new Counter(),
  bytesIn: new Counter(),
  latency: new Spread(),
  throttle: new Spread(),
  connectionsOpened: new Counter(),
  connectionsClosed: new Counter(),
  passes: new Counter(),
  // Milliseconds from here on.
  passTime: new Counter(),
  lineTime: new Counter(),
  flushTime: new Counter(),
  metadataTime: new Counter(),
  deliveryTimes: new Histogram(),
  queueTimes: new Histogram(),
  requestTimes: new Histogram(),
})

export const newTopic = () => ({
  recordsSent: new Counter(),
  recordsDelivered: new Counter(),
  recordsFailed: new Counter(),
  recordsRetried: new Counter(),
  bytes: new Counter(),
  compression: new Spread(),
})

export const newBroker = () => ({
  requests: new Counter(),
  responses: new Counter(),
  requestSize: new Spread(),
  bytesOut: new Counter(),
  bytesIn: new Counter(),
  latency: new Spread(),
})

export type OverallStats = ReturnType<typeof newOverall>
export type TopicStats = ReturnType<typeof newTopic>
export type BrokerStats = ReturnType<typeof newBroker>

interface Rolling {
  roll(idle: boolean): void
}

type Rollings<Stats> = { readonly [Name in keyof Stats]: Rolling }

/** Stats that roll when somebody looks at them in a later window, so that those of a silent topic cost nothing. */
export class Scope<Stats extends Rollings<Stats>> {
  readonly #stats: Stats
  #window: number

  constructor(window: number, make: () => Stats) {
    this.#window = window
    this.#stats = make()
  }

  at(window: number): Stats {
    if (window !== this.#window) {
      const idle = window > this.#window + 1
      for (const stat of Object.values<Rolling>(this.#stats)) stat.roll(idle)
      this.#window = window
    }
    return this.#stats
  }
}

/** At this many names the others share one entry: what a user can invent must not cost memory without end. */
const NAMES_AT_MOST = 1_000
const OTHER = '(other)'

/** A scope for each name. */
export class Scopes<Stats extends Rollings<Stats>> {
  readonly #make: () => Stats
  readonly #scopes = new Map<string, Scope<Stats>>()

  constructor(make: () => Stats) {
    this.#make = make
  }

  at(name: string, window: number): Stats {
    const known = this.#scopes.get(name)
    if (known !== undefined) return known.at(window)
    if (this.#scopes.size >= NAMES_AT_MOST && name !== OTHER) return this.at(OTHER, window)
    const scope = new Scope(window, this.#make)
    this.#scopes.set(name, scope)
    return scope.at(window)
  }

  /** By name, in an object without a prototype: `constructor` and `__proto__` are names that a topic can have. */
  view<View>(window: number, look: (stats: Stats) => View): Record<string, View> {
    const views: Record<string, View> = Object.create(null)
    for (const [name, scope] of this.#scopes) views[name] = look(scope.at(window))
    return views
  }
}
