// Probe: an API that Kafka does not have, small enough to write its bytes by hand, and what it takes to ask it over a connection.
// From: tests of src/net/connection.ts.
import type { KafkaError } from '../../src/errors.ts'
import { Connection, type ConnectionOptions, type Exchange } from '../../src/net/connection.ts'
import { tcpDial } from '../../src/net/dial.ts'
import type { Api } from '../../src/protocol/api.ts'
import { type ByteBuilder, bytes } from './byte-builder.ts'
import { FakeClock } from './fake-clock.ts'
import { RecordingLog } from './recording-log.ts'
import type { OfferedApi, ReceivedFrame } from './wire-server.ts'

export interface ProbeRequest {
  readonly value: number
  /** Linked into the frame without copying when it is large. */
  readonly payload?: Uint8Array
}

/** Request: int32, bytes. Response: int32. Version 1 is flexible. */
export const probe: Api<ProbeRequest, number> = {
  name: 'Probe',
  key: 1_000,
  versions: { min: 0, max: 1 },
  flexibleFrom: 1,
  encodeRequest(writer, { value, payload }, version) {
    if (value === UNENCODABLE) throw new Error('a value that cannot be encoded')
    writer.int32(value).records(payload === undefined ? null : [payload], version >= 1)
    if (version >= 1) writer.taggedFields()
  },
  decodeRequest: () => {
    throw new Error('no test needs it')
  },
  encodeResponse: () => {
    throw new Error('no test needs it')
  },
  decodeResponse(reader, version) {
    const value = reader.int32()
    if (version >= 1) reader.skipTaggedFields()
    return value
  },
}

export const UNENCODABLE = -1

/** What the test's brokers offer unless a test says otherwise. */
export const offered: readonly OfferedApi[] = [
  [18, 0, 4],
  [1_000, 0, 1],
]

/** The int32 of a Probe request, at version 0 with the client id 'test'. */
export const valueIn = (frame: ReceivedFrame): number => frame.bytes.readInt32BE(14)

export const int32 = (value: number): ByteBuilder => bytes().int32(value)

/** A whole answer to a Probe request at version 0. */
export const probeAnswer = (correlationId: number, value: number): Uint8Array =>
  bytes().int32(correlationId).int32(value).framed()

export interface Opened {
  readonly connection: Connection
  readonly clock: FakeClock
  readonly log: RecordingLog
}

/** Options for a connection on fake time, over TCP. */
export function connectionOptions(overrides: Partial<ConnectionOptions> = {}) {
  const clock = new FakeClock()
  const log = new RecordingLog()
  const options: ConnectionOptions = {
    clientId: 'test',
    requestTimeoutMs: 30_000,
    setupTimeoutMs: 10_000,
    dial: tcpDial,
    clock,
    brokerName: 'b:9092',
    log,
    ...overrides,
  }
  return { options, clock, log }
}

export async function open(
  target: { host: string; port: number } = { host: 'memory', port: 1 },
  overrides: Partial<ConnectionOptions> = {},
): Promise<Opened> {
  const { options, clock, log } = connectionOptions(overrides)
  const connection = await Connection.open(target, options, new AbortController().signal)
  return { connection, clock, log }
}

/** Notes what becomes of each exchange, in order: `'a: answer 7'`, `'b: failed CONNECTION_CLOSED, may be on the wire'`. */
export class Outcomes {
  readonly told: string[] = []
  readonly causes: KafkaError[] = []
  readonly #awaited: { count: number; resolve: () => void }[] = []

  of(name: string): Exchange<number> {
    return {
      onAnswer: (response) => this.tell(`${name}: answer ${response}`),
      onFailed: (error, mayBeOnTheWire) => {
        this.causes.push(error)
        this.tell(`${name}: failed ${error.code}, ${mayBeOnTheWire ? 'may be' : 'not'} on the wire`)
      },
    }
  }

  /** The same, and notes when it was written. */
  withWritten(name: string): Exchange<number> {
    return { ...this.of(name), onWritten: () => this.tell(`${name}: written`) }
  }

  tell(what: string): void {
    this.told.push(what)
    for (const { count, resolve } of this.#awaited) if (this.told.length >= count) resolve()
  }

  /** Resolves when so many things were told. */
  count(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#awaited.push({ count, resolve })
      if (this.told.length >= count) resolve()
    })
  }
}

export const answered = { version: 0, timeoutMs: 30_000, expectsAnswer: true }
export const unanswered = { version: 0, timeoutMs: 30_000, expectsAnswer: false }

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export async function turns(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await turn()
}
