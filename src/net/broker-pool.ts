// Broker pool: the brokers of the cluster and the ways to them: one lane a node for Produce, one control connection in all, so that
// metadata never waits behind a megabyte of records (a broker serves one request per connection at a time).
// From: the sender (lanes) and cluster.ts (control, who the brokers are). To: lane.ts, control.ts.
import { type KafkaError, kafkaError } from '../errors.ts'
import type { Api } from '../protocol/api.ts'
import { type Address, formatAddress } from './address.ts'
import type { Candidate } from './campaign.ts'
import { Connector } from './connector.ts'
import { ControlLink } from './control.ts'
import { Lane } from './lane.ts'
import type { BrokerAddress, NetOptions } from './options.ts'
import { advertisedInVain, closedError, notListed } from './reach-errors.ts'
import { Anchor } from './timers.ts'

export type { BrokerAddress } from './options.ts'

export interface ControlOptions {
  /** From the writing of the request to its answer. Default `requestTimeoutMs`. */
  readonly timeoutMs?: number | undefined
  /** Ask this broker and no other, over a control connection of its own (coordinators). */
  readonly nodeId?: number | undefined
  /** False: the process may end while this is under way. Default true. */
  readonly keepAlive?: boolean | undefined
}

interface Broker {
  readonly advertised: BrokerAddress
  /** Where we dial: what `brokerAddressMapper` made of the advertised address. */
  readonly target: Address
}

const CLOSE_AT_MOST_MS = 3_000

export class BrokerPool {
  /** A lane opened, failed, is writable or unthrottled again, or has closed. Set by the sender. Called from a later turn, or from an event. */
  onLaneChange: ((lane: Lane) => void) | undefined

  readonly #options: NetOptions
  readonly #connector: Connector
  readonly #anchor: Anchor
  readonly #lanes = new Map<number, Lane>()
  readonly #control: ControlLink
  // Bound: the connect() calls under way.
  readonly #watchers = new Set<(lane: Lane) => void>()
  readonly #controlOfNode = new Map<number, ControlLink>()
  #brokers: ReadonlyMap<number, Broker> = new Map()
  // For explaining failures: a bootstrap address that answered, and whether any advertised address ever did.
  #bootstrapAnswered: Address | undefined
  #advertisedAnswered = false
  #closing: Promise<void> | undefined

  constructor(options: NetOptions) {
    this.#options = options
    this.#connector = new Connector(options)
    this.#anchor = new Anchor(options.clock)
    this.#control = this.#newLink(() => this.#candidates())
  }

  /** The brokers of the last metadata, as the cluster advertises them. */
  get brokers(): readonly BrokerAddress[] {
    return [...this.#brokers.values()].map(({ advertised }) => advertised)
  }

  /** How many of them did not fail at the last attempt or connection. */
  get reachableCount(): number {
    let count = 0
    for (const { target } of this.#brokers.values()) if (this.#connector.lastError(target) === undefined) count++
    return count
  }

  has(nodeId: number): boolean {
    return this.#brokers.has(nodeId)
  }

  /**
   * From metadata: these are the brokers now. A node with another address than before gets a new connection, the old one closes when
   * its answers are in; so does that of a node which is not listed any more.
   * @returns Whether a node came, went or moved.
   */
  setBrokers(brokers: readonly BrokerAddress[]): boolean {
    return this.#replace(new Map(brokers.map((broker) => [broker.nodeId, this.#broker(broker)])))
  }

  /** From a leader hint (KIP-951): these are brokers too, or their newer addresses. */
  addBrokers(brokers: readonly BrokerAddress[]): boolean {
    const added = brokers.map((broker): [number, Broker] => [broker.nodeId, this.#broker(broker)])
    return this.#replace(new Map([...this.#brokers, ...added]))
  }

  /** The lane of a node, made on demand and kept for the life of the pool. One of a node that is not listed cannot connect. */
  lane(nodeId: number): Lane {
    let lane = this.#lanes.get(nodeId)
    if (lane === undefined) {
      const home = {
        options: this.#options,
        connector: this.#connector,
        changed: (changed: Lane) => this.#laneChanged(changed),
        explain: (node: number, error: KafkaError) => this.#explain(node, error),
      }
      lane = new Lane(nodeId, home)
      this.#lanes.set(nodeId, lane)
      if (this.#closing === undefined) lane.moveTo(this.#brokers.get(nodeId)?.target)
      else lane.close(closedError())
    }
    return lane
  }

  /** All lanes that were ever asked for. */
  lanes(): Iterable<Lane> {
    return this.#lanes.values()
  }

  /** As `onLaneChange`, and when a lane is closed with the pool. Returns what ends it. */
  watchLanes(watcher: (lane: Lane) => void): () => void {
    this.#watchers.add(watcher)
    return () => void this.#watchers.delete(watcher)
  }

  /**
   * One request over the control connection: to a bootstrap address as long as no broker is known, else to a known broker, and to the
   * bootstrap addresses again when those cannot be reached (unless `metadataRecoveryStrategy` is `'none'`). Dials when needed.
   *
   * @param request The request, or what makes it for the version that was agreed on.
   * @throws BOOTSTRAP_FAILED with one line an address when each of them was tried in vain or is in back-off; UNSUPPORTED_VERSION;
   *   CONNECTION_CLOSED, REQUEST_TIMEOUT, PROTOCOL_ERROR when the connection ended before the answer; CLOSED.
   */
  async control<Request extends object, Response>(
    api: Api<Request, Response>,
    request: Request | ((version: number) => Request),
    options: ControlOptions = {},
  ): Promise<Response> {
    if (this.#closing !== undefined) throw closedError()
    const { timeoutMs = this.#options.requestTimeoutMs, nodeId, keepAlive = true } = options
    if (nodeId !== undefined && !this.#brokers.has(nodeId)) throw notListed(nodeId)
    const link = nodeId === undefined ? this.#control : this.#linkTo(nodeId)
    const release = keepAlive ? this.#anchor.hold() : undefined
    try {
      return await link.ask(api, typeof request === 'function' ? request : () => request, timeoutMs)
    } finally {
      release?.()
    }
  }

  /** Keeps the process alive until the returned function is called: for whoever waits and has no timer of its own that does. */
  hold(): () => void {
    return this.#anchor.hold()
  }

  /** The next control request goes to another broker: this one's answers help nobody. */
  moveControl(): void {
    this.#control.moveOn()
  }

  /**
   * Forgets the brokers and starts from the bootstrap addresses (KIP-899, KIP-1102). The control connection is closed, what is under way
   * on it fails; lanes close when their answers are in.
   */
  rebootstrap(): void {
    if (this.#closing !== undefined) return
    this.#options.log.warn({}, 'starting again from the bootstrap addresses')
    this.#replace(new Map())
    this.#control.reset(kafkaError('CONNECTION_CLOSED', 'starting again from the bootstrap addresses'))
  }

  /**
   * Fails everything under way and whoever waits with `CLOSED`. Resolves when no socket, attempt or timer is left; a stream of a
   * user's `dial` that does not close when destroyed is not waited for beyond 3 s.
   */
  close(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing
    const cause = closedError()
    this.#closing = this.#connector.whenNoneIsOpen(CLOSE_AT_MOST_MS)
    for (const lane of this.#lanes.values()) {
      lane.close(cause)
      for (const watcher of this.#watchers) watcher(lane)
    }
    this.#control.close(cause)
    for (const link of this.#controlOfNode.values()) link.close(cause)
    return this.#closing
  }

  #replace(brokers: ReadonlyMap<number, Broker>): boolean {
    const before = this.#brokers
    this.#brokers = brokers
    for (const lane of this.#lanes.values()) lane.moveTo(brokers.get(lane.nodeId)?.target)
    const targets = [...brokers.values()].map(({ target }) => target)
    this.#connector.forgetExcept([...targets, ...this.#options.bootstrapServers])
    const reached = this.#control.reached
    if (reached?.nodeId !== undefined && !targets.some((target) => isSame(target, reached.address))) {
      this.#control.moveOn()
    }
    return (
      brokers.size !== before.size || [...brokers].some(([nodeId, broker]) => !isSameBroker(broker, before.get(nodeId)))
    )
  }

  #broker(advertised: BrokerAddress): Broker {
    const { host, port, nodeId } = advertised
    const { brokerAddressMapper, log } = this.#options
    if (brokerAddressMapper === undefined) return { advertised, target: advertised }
    try {
      const mapped = brokerAddressMapper(host, port, nodeId)
      if (typeof mapped?.host === 'string' && mapped.host !== '' && isPort(mapped.port)) {
        return { advertised, target: { host: mapped.host, port: mapped.port } }
      }
      log.error(
        { nodeId, host, port, mapped },
        'brokerAddressMapper did not answer { host, port }: its answer is not used',
      )
    } catch (error) {
      log.error({ nodeId, host, port, err: error }, 'brokerAddressMapper threw: the advertised address is used')
    }
    return { advertised, target: advertised }
  }

  #candidates(): readonly Candidate[] {
    const { bootstrapServers, metadataRecoveryStrategy } = this.#options
    const known = this.#turned([...this.#brokers.values()].map(candidateOf))
    if (known.length > 0 && metadataRecoveryStrategy === 'none') return known
    const seeds = this.#turned(bootstrapServers).map(seedOf)
    return [...known, ...seeds.filter((seed) => !known.some(({ address }) => isSame(address, seed.address)))]
  }

  // Not every producer should ask the first of the list.
  #turned<T>(list: readonly T[]): T[] {
    const start = Math.floor(this.#options.random() * list.length)
    return [...list.slice(start), ...list.slice(0, start)]
  }

  #newLink(candidates: () => readonly Candidate[]): ControlLink {
    return new ControlLink({
      options: this.#options,
      connector: this.#connector,
      candidates,
      reached: (candidate) => this.#reached(candidate),
    })
  }

  #linkTo(nodeId: number): ControlLink {
    let link = this.#controlOfNode.get(nodeId)
    if (link === undefined) {
      link = this.#newLink(() => {
        const broker = this.#brokers.get(nodeId)
        return broker === undefined ? [] : [candidateOf(broker)]
      })
      this.#controlOfNode.set(nodeId, link)
    }
    return link
  }

  #reached(candidate: Candidate): void {
    if (candidate.nodeId !== undefined) {
      this.#advertisedAnswered = true
      return
    }
    this.#bootstrapAnswered = candidate.address
    // KIP-899: a bootstrap address comes after all known brokers, so none of those could be reached in time.
    if (this.#brokers.size > 0)
      this.#options.log.info({}, 'no known broker can be reached: back to the bootstrap addresses')
  }

  #laneChanged(lane: Lane): void {
    if (lane.state.kind === 'open') this.#advertisedAnswered = true
    try {
      for (const watcher of this.#watchers) watcher(lane)
      this.onLaneChange?.(lane)
    } catch (error) {
      this.#options.log.error({ err: error, broker: lane.brokerName }, 'a listener of the broker pool threw')
    }
  }

  // With an advertised address that answers the cause must be another one.
  #explain(nodeId: number, error: KafkaError): KafkaError {
    const broker = this.#brokers.get(nodeId)
    if (broker === undefined || this.#advertisedAnswered || this.#bootstrapAnswered === undefined) return error
    return advertisedInVain(this.#bootstrapAnswered, broker.advertised, broker.target, error)
  }
}

const isPort = (port: unknown): boolean => Number.isInteger(port) && (port as number) > 0 && (port as number) <= 65_535

const isSame = (a: Address, b: Address): boolean => a.host === b.host && a.port === b.port

const isSameBroker = (a: Broker, b: Broker | undefined): boolean =>
  b !== undefined &&
  isSame(a.advertised, b.advertised) &&
  isSame(a.target, b.target) &&
  a.advertised.rack === b.advertised.rack

const candidateOf = ({ advertised: { nodeId }, target }: Broker): Candidate => ({
  address: target,
  brokerName: `broker ${nodeId} at ${formatAddress(target)}`,
  nodeId,
})

const seedOf = (address: Address): Candidate => ({ address, brokerName: formatAddress(address), nodeId: undefined })
