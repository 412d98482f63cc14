// Connection, the broker's side of one: bytes in, whole frames out of them, handled one after the other in the order of their arrival, as
// Kafka does (it reads no second request of a connection before the first is answered).
// From: broker.ts, for each socket. To: broker.ts, which handles a frame; the test, which looks at what connections there were.
import type { Socket } from 'node:net'

/** What becomes of a request once it was handled. */
export type Reply =
  | { readonly kind: 'answer'; readonly bytes: readonly Uint8Array[]; readonly thenClose: boolean }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'mute' }

/** A frame on its way through the broker. */
export interface FrameHandler {
  /** On arrival; `undefined`: these bytes are no request, and the connection ends. */
  receive(connection: Connection, frame: Buffer): Handled | undefined
}

export interface Handled {
  /** When its turn comes. Must not reject. */
  handle(): Promise<Reply>
  /** After the reply, or instead of it when the connection has ended. */
  done(reply: Reply | undefined): void
}

/** What a test sees of a connection. */
export interface ConnectionInfo {
  readonly id: number
  readonly broker: number
  readonly isOpen: boolean
  readonly requestCount: number
  /** The most requests that were received and not answered at one time. */
  readonly mostInFlight: number
  readonly remotePort: number
}

const FRAME_BYTES_MAX = 104_857_600

export class Connection implements ConnectionInfo {
  readonly id: number
  readonly broker: number
  readonly remotePort: number
  readonly #socket: Socket
  readonly #handler: FrameHandler
  readonly #waiting: Handled[] = []
  #chunks: Buffer[] = []
  #bytes = 0
  #isServing = false
  #isMuted = false
  requestCount = 0
  mostInFlight = 0
  /** The last error of the socket: a client that resets is no fault of the broker's. */
  socketError: Error | undefined

  constructor(id: number, broker: number, socket: Socket, handler: FrameHandler, onClosed: () => void) {
    this.id = id
    this.broker = broker
    this.remotePort = socket.remotePort ?? -1
    this.#socket = socket
    this.#handler = handler
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error) => {
      this.socketError = error
    })
    socket.on('close', () => {
      for (const waiting of this.#waiting.splice(this.#isServing ? 1 : 0)) waiting.done(undefined)
      onClosed()
    })
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed
  }

  /** The client gets ECONNRESET. */
  reset(): void {
    if (this.isOpen) this.#socket.resetAndDestroy()
  }

  /** The client gets the end of the stream, after what was written. */
  end(): void {
    this.#socket.end()
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    for (let frame = this.#nextFrame(); frame !== undefined; frame = this.#nextFrame()) {
      const handled = this.#handler.receive(this, frame)
      if (handled === undefined) {
        this.reset()
        return
      }
      this.requestCount++
      this.#waiting.push(handled)
      this.mostInFlight = Math.max(this.mostInFlight, this.#waiting.length)
    }
    void this.#serve()
  }

  #nextFrame(): Buffer | undefined {
    if (!this.isOpen || this.#bytes < 4) return undefined
    if (this.#chunks[0]!.length < 4) this.#chunks = [Buffer.concat(this.#chunks)]
    const size = this.#chunks[0]!.readInt32BE(0)
    if (size < 0 || size > FRAME_BYTES_MAX) {
      this.reset()
      return undefined
    }
    if (this.#bytes < 4 + size) return undefined
    const whole = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
    const rest = whole.subarray(4 + size)
    this.#chunks = rest.length === 0 ? [] : [rest]
    this.#bytes = rest.length
    return whole.subarray(4, 4 + size)
  }

  async #serve(): Promise<void> {
    if (this.#isServing) return
    this.#isServing = true
    while (this.#waiting.length > 0 && !this.#isMuted) {
      const current = this.#waiting[0]!
      const reply = await current.handle()
      this.#waiting.shift()
      const isDelivered = this.isOpen
      if (isDelivered) this.#carryOut(reply)
      else this.#waiting.length = 0
      current.done(isDelivered ? reply : undefined)
    }
    this.#isServing = false
  }

  #carryOut(reply: Reply): void {
    switch (reply.kind) {
      case 'answer':
        this.#socket.cork()
        for (const piece of reply.bytes) this.#socket.write(piece)
        this.#socket.uncork()
        if (reply.thenClose) this.end()
        return
      case 'reset':
        this.reset()
        return
      case 'mute':
        this.#isMuted = true
        return
      case 'nothing':
    }
  }
}
