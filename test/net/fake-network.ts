// FakeNetwork: addresses without sockets. What listens where is said by the test; every dial is written down. Brokers answer with literal
// bytes. From: tests of the lanes, the broker pool and the cluster, through the `dial` and `clock` seams.

import type { Duplex } from 'node:stream'
import type { Log, LogLevel } from '../../src/logger.ts'
import type { Dial, DialTarget } from '../../src/net/dial.ts'
import type { NetOptions } from '../../src/net/options.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { memoryDuplexPair } from '../support/memory-duplex.ts'
import {
  type OfferedApi,
  PeerGone,
  type ReceivedFrame,
  shakeHands,
  type WirePeer,
  wirePeer,
} from '../support/wire-server.ts'

/** What becomes of a dial: a script that plays the broker, a refusal, or no answer at all. */
export type Endpoint = ((peer: WirePeer) => Promise<void>) | 'refuses' | 'is silent' | 'has no name'

export const PRODUCE = 0
export const METADATA = 3
export const INIT_PRODUCER_ID = 22

export class FakeNetwork {
  readonly clock = new FakeClock()
  /** `host:port` (IPv6 in brackets) of every dial, in order. */
  readonly dials: string[] = []
  /** Ends of brokers whose client has not hung up. */
  readonly open = new Map<string, Set<WirePeer>>()
  readonly said: { readonly level: LogLevel; readonly message: string }[] = []
  /** Our ends, in the order of the dials that came through. */
  readonly streams: Duplex[] = []
  readonly #endpoints = new Map<string, Endpoint>()
  readonly #faults: unknown[] = []

  listen(where: string, endpoint: Endpoint): void {
    this.#endpoints.set(where, endpoint)
  }

  openCount(where: string): number {
    return this.open.get(where)?.size ?? 0
  }

  /** The broker hangs up on everybody. */
  drop(where: string): void {
    for (const peer of this.open.get(where) ?? []) peer.reset()
  }

  readonly dial: Dial = async (target) => {
    const where = `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`
    this.dials.push(where)
    const endpoint = this.#endpoints.get(where) ?? 'refuses'
    if (endpoint === 'refuses')
      throw Object.assign(new Error(`connect ECONNREFUSED ${where}`), { code: 'ECONNREFUSED' })
    if (endpoint === 'has no name') throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${target.host}`))
    if (endpoint === 'is silent') return silence(target)
    const { near, far } = memoryDuplexPair()
    this.streams.push(near)
    const peer = wirePeer(far)
    const peers = this.open.get(where) ?? new Set()
    this.open.set(where, peers.add(peer))
    void peer.gone.then(() => peers.delete(peer))
    endpoint(peer).catch((fault: unknown) => {
      if (!(fault instanceof PeerGone)) this.#faults.push(fault)
    })
    return near
  }

  options(changes: Partial<NetOptions> = {}): NetOptions {
    return {
      bootstrapServers: [{ host: 'seed', port: 9092 }],
      clientId: 'test',
      requestTimeoutMs: 30_000,
      connectionsMaxIdleMs: 540_000,
      reconnectBackoffMs: 50,
      reconnectBackoffMaxMs: 1_000,
      retryBackoffMs: 100,
      retryBackoffMaxMs: 1_000,
      socketConnectionSetupTimeoutMs: 10_000,
      socketConnectionSetupTimeoutMaxMs: 30_000,
      metadataMaxAgeMs: 300_000,
      metadataMaxIdleMs: 300_000,
      metadataRecoveryStrategy: 'rebootstrap',
      metadataRecoveryRebootstrapTriggerMs: 300_000,
      allowAutoTopicCreation: true,
      brokerAddressMapper: undefined,
      dial: this.dial,
      clock: this.clock,
      // The middle: no jitter, and of two addresses the second is asked first, of one or three the one in the middle.
      random: () => 0.5,
      log: this.#log(),
      ...changes,
    }
  }

  /** Turns of the event loop until it is so. Time stands still meanwhile. */
  async until(isSo: () => boolean, what = 'what was awaited'): Promise<void> {
    for (let turn = 0; turn < 2_000; turn++) {
      if (this.#faults.length > 0) throw this.#faults[0]
      if (isSo()) return
      await new Promise((resolve) => setImmediate(resolve))
    }
    throw new Error(`${what} did not come`)
  }

  /** Enough turns for everything that is under way to come to rest. */
  async settle(): Promise<void> {
    let turns = 0
    await this.until(() => turns++ > 40)
  }

  /** Time goes on in steps, with turns between them, as for a process that is not blocked. */
  async pass(ms: number, stepMs = ms): Promise<void> {
    await this.settle()
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.clock.advance(Math.min(stepMs, ms - passed))
      await this.settle()
    }
  }

  #log(): Log {
    const say = (level: LogLevel) => (_fields: object, message: string) => void this.said.push({ level, message })
    return { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
  }
}

const silence = ({ signal }: DialTarget): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

export const APIS: readonly OfferedApi[] = [
  [PRODUCE, 0, 13],
  [METADATA, 0, 13],
  [18, 0, 4],
  [INIT_PRODUCER_ID, 0, 5],
]

/** A broker that shakes hands and gives each later frame to `answer`, in order. */
export const broker =
  (answer: (frame: ReceivedFrame, peer: WirePeer) => void | Promise<void>, apis = APIS) =>
  async (peer: WirePeer): Promise<void> => {
    await shakeHands(peer, apis)
    for (;;) await answer(await peer.nextFrame(), peer)
  }
