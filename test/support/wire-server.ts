// WireServer: a TCP server that speaks literal bytes. A script per connection reads frames and answers with what it likes: right, wrong,
// cut, late or not at all. It knows nothing of Kafka but the size in front of a frame and the first fields of a header, and uses none
// of the code under test.
// From: tests of src/net.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ByteBuilder, bytes, fromHex } from './byte-builder.ts'

/** What a script may throw away: the client hung up while the script waited for it. */
export class PeerGone extends Error {
  override readonly name = 'PeerGone'
}

/** One frame from the client. Only the fields that every header has at the same place. */
export interface ReceivedFrame {
  /** Everything behind the size. */
  readonly bytes: Buffer
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
}

/** One connection, seen from the server. */
export interface WirePeer {
  readonly stream: Duplex
  /** The next frame, once it is whole. Rejects with `PeerGone` when the client has hung up instead. */
  nextFrame(): Promise<ReceivedFrame>
  /** Resolves when the client has hung up. */
  readonly gone: Promise<void>
  /** Literal bytes, or hex. Resolves when they were handed to the kernel. */
  send(literal: Literal): Promise<void>
  /** Each byte in a write and a turn of the event loop of its own. */
  sendByteByByte(literal: Literal): Promise<void>
  /** Size, the correlation id of `frame`, and `body` (which begins with the tagged fields of the header, where it has any). */
  answer(frame: ReceivedFrame, body: Literal): Promise<void>
  /** FIN. */
  end(): void
  /** RST. */
  reset(): void
}

export type Literal = Uint8Array | ByteBuilder | string

export type WireScript = (peer: WirePeer, connectionIndex: number) => void | Promise<void>

export interface WireServer {
  readonly host: string
  readonly port: number
  /** Those accepted so far. */
  readonly connectionCount: number
  /** Ends everything, then rejects with the first fault of a script. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Listens on a port of the system's choice. When a script ends, its connection stays open: silence is an answer too. */
export async function startWireServer(script: WireScript, host = '127.0.0.1'): Promise<WireServer> {
  const sockets = new Set<Socket>()
  const faults: unknown[] = []
  let connectionCount = 0
  const server: Server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    const run = async (): Promise<void> => script(wirePeer(socket), connectionCount++)
    run().catch((fault: unknown) => {
      if (!(fault instanceof PeerGone)) faults.push(fault)
    })
  })
  server.listen(0, host)
  await once(server, 'listening')
  let closed: Promise<unknown> | undefined
  const close = async (): Promise<void> => {
    if (closed === undefined) {
      closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
    }
    await closed
    if (faults.length > 0) throw faults[0]
  }
  return {
    host,
    port: (server.address() as AddressInfo).port,
    get connectionCount() {
      return connectionCount
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** The same over any stream, for the far end of a memory duplex. */
export function wirePeer(stream: Duplex): WirePeer {
  let unread: Buffer[] = []
  /** So many bytes must be there before it is worth looking. */
  let neededBytes = 4
  let isGone = false
  let wake: (() => void) | undefined
  const gone = new Promise<void>((resolve) => {
    const leave = (): void => {
      isGone = true
      wake?.()
      resolve()
    }
    stream.on('end', leave)
    stream.on('close', leave)
    // A reset is one way of hanging up, and 'close' follows it.
    stream.on('error', leave)
  })
  stream.on('data', (chunk: Buffer) => {
    unread.push(chunk)
    wake?.()
  })

  const takeFrame = (): Buffer | undefined => {
    if (unread.reduce((total, chunk) => total + chunk.length, 0) < neededBytes) return undefined
    const whole = Buffer.concat(unread)
    const end = 4 + whole.readInt32BE(0)
    unread = whole.length < end ? [whole] : [whole.subarray(end)]
    neededBytes = whole.length < end ? end : 4
    return whole.length < end ? undefined : whole.subarray(4, end)
  }
  const send = (literal: Literal): Promise<void> =>
    new Promise((resolve, reject) => {
      stream.write(literalBytes(literal), (error) => {
        if (error) reject(new PeerGone(error.message))
        else resolve()
      })
    })
  return {
    stream,
    gone,
    async nextFrame() {
      for (;;) {
        const frame = takeFrame()
        if (frame !== undefined) {
          return {
            bytes: frame,
            apiKey: frame.readInt16BE(0),
            apiVersion: frame.readInt16BE(2),
            correlationId: frame.readInt32BE(4),
          }
        }
        if (isGone) throw new PeerGone('the client hung up')
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    send,
    async sendByteByByte(literal) {
      for (const byte of literalBytes(literal)) {
        await send(Uint8Array.of(byte))
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
    answer: (frame, body) => send(bytes().int32(frame.correlationId).raw(literalBytes(body)).framed()),
    end: () => void stream.end(),
    reset() {
      if ('resetAndDestroy' in stream) (stream as Socket).resetAndDestroy()
      else stream.destroy()
    },
  }
}

const literalBytes = (literal: Literal): Uint8Array =>
  typeof literal === 'string' ? fromHex(literal) : literal instanceof Uint8Array ? literal : literal.done()

/** API key, lowest and highest version. */
export type OfferedApi = readonly [apiKey: number, min: number, max: number]

/** The body of an ApiVersions answer without error, in the shape of `version`. Its header has no tagged fields at any version. */
export function apiVersionsBody(version: number, apis: readonly OfferedApi[]): ByteBuilder {
  const body = bytes().int16(0)
  if (version >= 3) body.compactCount(apis.length)
  else body.int32(apis.length)
  for (const [apiKey, min, max] of apis) {
    body.int16(apiKey).int16(min).int16(max)
    if (version >= 3) body.noTags()
  }
  if (version >= 1) body.int32(0)
  if (version >= 3) body.noTags()
  return body
}

/** Reads the first request of a connection, which must be ApiVersions, and answers it. */
export async function shakeHands(peer: WirePeer, apis: readonly OfferedApi[]): Promise<ReceivedFrame> {
  const frame = await peer.nextFrame()
  if (frame.apiKey !== 18) throw new Error(`the first request has API key ${frame.apiKey}, not ApiVersions`)
  await peer.answer(frame, apiVersionsBody(frame.apiVersion, apis))
  return frame
}
