// Dial: opens a TCP connection to a host by any of its IP addresses. The only code that opens a socket; `dial` in the producer's
// options takes its place.
// From: connection.ts. To: the network.
import { lookup as dnsLookup } from 'node:dns'
import { isIP, connect as netConnect, type Socket, type TcpNetConnectOpts } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Clock, systemClock, type Timer } from '../clock.ts'
import { type KafkaError, kafkaError } from '../errors.ts'
import { formatAddress } from './address.ts'
import { errorText } from './connection-errors.ts'

export interface DialTarget {
  readonly host: string
  readonly port: number
  /** Aborted when nobody wants the connection any more: time ran out, or the producer closes. */
  readonly signal: AbortSignal
}

/**
 * Opens a stream of bytes to a broker. The stream may read a chunk given to `write` only until that chunk's callback: the memory is
 * used again afterwards. `ref` and `unref` are called where it has them.
 */
export type Dial = (target: DialTarget) => Promise<Duplex>

/** All IP addresses of a host, best first. */
export type Lookup = (host: string) => Promise<readonly string[]>

export interface TcpDialOptions {
  readonly lookup?: Lookup
  readonly connect?: (options: TcpNetConnectOpts) => Socket
  readonly clock?: Clock
  /** How long an address that answers nothing is tried alone before the next one is tried beside it. Default 500 ms. */
  readonly headStartMs?: number
}

const HEAD_START_MS = 500
const KEEP_ALIVE_AFTER_MS = 60_000

/**
 * Resolves the host anew on each call and tries its addresses in turn: the next one when one fails, or beside it when
 * it is silent for `headStartMs` (a black hole must not eat the time of those behind it). The first to connect wins.
 *
 * @throws DNS_FAILED and CONNECTION_FAILED, naming host, phase and what each address said; the signal's reason once it is aborted.
 */
export function createTcpDial(options: TcpDialOptions = {}): Dial {
  const { lookup = lookupAll, connect = netConnect, clock = systemClock, headStartMs = HEAD_START_MS } = options
  return async ({ host, port, signal }) => {
    signal.throwIfAborted()
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw kafkaError('CONNECTION_FAILED', `${host}: ${port} is not a TCP port`, { broker: `${host}:${port}` })
    }
    const ips = isIP(host) === 0 ? await resolve(host, port, lookup) : [host]
    signal.throwIfAborted()
    return race({ host, port, ips, signal, connect, clock, headStartMs })
  }
}

export const tcpDial: Dial = createTcpDial()

async function resolve(host: string, port: number, lookup: Lookup): Promise<readonly string[]> {
  const where = formatAddress({ host, port })
  let ips: readonly string[]
  try {
    ips = await lookup(host)
  } catch (cause) {
    throw dnsFailed(where, `failed (${errorText(cause)})`, cause)
  }
  if (ips.length === 0) throw dnsFailed(where, 'gave no address', undefined)
  return ips
}

// A declaration, since tcpDial is made while this module loads.
function lookupAll(host: string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    dnsLookup(host, { all: true }, (error, found) => {
      if (error === null) resolve(found.map((entry) => entry.address))
      else reject(error)
    })
  })
}

interface Refusal {
  readonly ip: string
  readonly error: Error
}

interface Race extends DialTarget, Required<Omit<TcpDialOptions, 'lookup'>> {
  readonly ips: readonly string[]
}

function race({ host, port, ips, signal, connect, clock, headStartMs }: Race): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const trying = new Set<Socket>()
    const refusals: Refusal[] = []
    let next = 0
    let headStart: Timer | undefined

    // Leaves nothing behind but the winner: every other socket, the timer and the signal's listener go.
    const settle = (winner: Socket | undefined): void => {
      headStart?.cancel()
      signal.removeEventListener('abort', abort)
      for (const socket of trying) if (socket !== winner) socket.destroy()
      trying.clear()
    }
    const abort = (): void => {
      settle(undefined)
      reject(signal.reason)
    }
    const tryNext = (): void => {
      headStart?.cancel()
      const ip = ips[next++]
      if (ip === undefined) {
        if (trying.size > 0) return
        settle(undefined)
        reject(refused(host, port, refusals))
        return
      }
      headStart = clock.setTimer(headStartMs, tryNext)
      const socket = connect({
        host: ip,
        port,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS,
      })
      trying.add(socket)
      socket.on('error', (error) => {
        // The listener stays, for the winner too: its errors after this belong to the connection, and a loser's to nobody.
        if (!trying.delete(socket)) return
        refusals.push({ ip, error })
        tryNext()
      })
      socket.once('connect', () => {
        if (!trying.has(socket)) return
        settle(socket)
        resolve(socket)
      })
    }
    signal.addEventListener('abort', abort, { once: true })
    tryNext()
  })
}

function refused(host: string, port: number, refusals: readonly Refusal[]): KafkaError {
  const where = formatAddress({ host, port })
  const codes = refusals.map(({ ip, error }) => (ip === host ? errorText(error) : `${ip} ${errorText(error)}`))
  const nobodyListens = refusals.every(({ error }) => errorText(error) === 'ECONNREFUSED')
  return kafkaError('CONNECTION_FAILED', `${where}: no TCP connection (${codes.join(', ')})`, {
    broker: where,
    hint: nobodyListens ? 'Nothing listens there: check host and port, and that the broker is running' : undefined,
    cause: refusals.length === 1 ? refusals[0]!.error : new AggregateError(refusals.map(({ error }) => error)),
  })
}

const dnsFailed = (broker: string, reason: string, cause: unknown): KafkaError =>
  kafkaError('DNS_FAILED', `${broker}: DNS lookup ${reason}`, {
    broker,
    hint: 'Check the name; if the cluster advertises it, set advertised.listeners for this network or use brokerAddressMapper',
    cause,
  })
