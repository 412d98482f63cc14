// Connector: opens connections and remembers, for each address, how that went: when it may be tried again, how patient the next
// attempt is, what the last error was. Lanes and the control connection share this memory, as they share the broker.
// From: lane.ts, campaign.ts. To: connection.ts.
import { backoffMs } from '../backoff.ts'
import type { KafkaError } from '../errors.ts'
import { type Address, formatAddress } from './address.ts'
import { Connection } from './connection.ts'
import type { NetOptions } from './options.ts'

interface Memory {
  /** Failed attempts and lost connections since the last one that became ready: TCP alone is no success. */
  failures: number
  retryAt: number
  lastError: KafkaError | undefined
}

export class Connector {
  readonly #options: NetOptions
  readonly #memories = new Map<string, Memory>()
  // Attempts and connections that are not closed yet.
  #open = 0
  #whenNoneIsOpen: (() => void)[] = []

  constructor(options: NetOptions) {
    this.#options = options
  }

  /**
   * One attempt, whatever `retryAt` says. `onClosed` is called once, when the connection has ended and each of its exchanges was
   * told; never when the attempt failed.
   *
   * @throws What `Connection.open` does: a `KafkaError` naming phase and address, or the signal's reason.
   */
  async open(
    address: Address,
    brokerName: string,
    signal: AbortSignal,
    onClosed: (connection: Connection, cause: KafkaError) => void,
  ): Promise<Connection> {
    const { clientId, requestTimeoutMs, dial, clock, random, log, watch } = this.#options
    const memory = this.#memoryOf(address)
    const failuresBefore = memory.failures
    const setupTimeoutMs = backoffMs(
      memory.failures,
      this.#options.socketConnectionSetupTimeoutMs,
      this.#options.socketConnectionSetupTimeoutMaxMs,
      random,
    )
    this.#open++
    try {
      const connection = await Connection.open(
        address,
        { clientId, requestTimeoutMs, setupTimeoutMs, dial, clock, brokerName, log, watch },
        signal,
      )
      if (connection.state.kind === 'closed') throw connection.state.cause
      memory.failures = 0
      memory.retryAt = 0
      memory.lastError = undefined
      this.#open++
      this.#options.watch?.connectionOpened()
      connection.onClosed = (cause) => {
        this.#options.watch?.connectionClosed()
        this.#oneLess()
        onClosed(connection, cause)
      }
      log.debug({ broker: brokerName }, `connected to ${brokerName}`)
      return connection
    } catch (thrown) {
      const error = thrown as KafkaError
      if (!signal.aborted) {
        this.#remember(memory, failuresBefore, error)
        log.debug({ broker: brokerName, code: error.code, failures: memory.failures }, error.message)
      }
      throw error
    } finally {
      this.#oneLess()
    }
  }

  /** A connection that was ready has ended without our wish: the next attempt waits, as after a failed one. */
  lost(address: Address, cause: KafkaError): void {
    this.#remember(this.#memoryOf(address), 0, cause)
    this.#options.log.info({ code: cause.code }, `lost the connection to ${formatAddress(address)}: ${cause.message}`)
  }

  /** The instant before which the address should be left alone; 0 when nothing is against it. */
  retryAt(address: Address): number {
    return this.#memories.get(formatAddress(address))?.retryAt ?? 0
  }

  /** Why the last attempt or connection ended; `undefined` when it was ready last time. */
  lastError(address: Address): KafkaError | undefined {
    return this.#memories.get(formatAddress(address))?.lastError
  }

  /** Addresses come and go (pods): what nobody will dial again is forgotten. */
  forgetExcept(addresses: Iterable<Address>): void {
    const kept = new Set([...addresses].map(formatAddress))
    for (const key of this.#memories.keys()) if (!kept.has(key)) this.#memories.delete(key)
  }

  /**
   * Resolves when no attempt is under way and every connection has closed, which is their owners' part to begin; after `atMostMs`
   * whatever is left.
   */
  async whenNoneIsOpen(atMostMs: number): Promise<void> {
    if (this.#open === 0) return
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.setTimer(atMostMs, resolve, true)
      this.#whenNoneIsOpen.push(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  #oneLess(): void {
    if (--this.#open > 0) return
    const waiting = this.#whenNoneIsOpen
    this.#whenNoneIsOpen = []
    for (const resolve of waiting) resolve()
  }

  // Two attempts, or two connections, that end together are one failure: the second must not double the wait.
  #remember(memory: Memory, failuresBefore: number, error: KafkaError): void {
    const { clock, random, reconnectBackoffMs, reconnectBackoffMaxMs } = this.#options
    memory.lastError = error
    if (memory.failures > failuresBefore) return
    memory.retryAt = clock.now() + backoffMs(memory.failures, reconnectBackoffMs, reconnectBackoffMaxMs, random)
    memory.failures++
  }

  #memoryOf(address: Address): Memory {
    const key = formatAddress(address)
    let memory = this.#memories.get(key)
    if (memory === undefined) {
      memory = { failures: 0, retryAt: 0, lastError: undefined }
      this.#memories.set(key, memory)
    }
    return memory
  }
}
