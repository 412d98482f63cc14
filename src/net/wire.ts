// Wire: the stream that `dial` opened, with its manners made certain. Users bring their own streams (tunnels, proxies, memory), and
// those emit error without close, close without error, or end and nothing else. Here each of them is lost once and closes once.
// From: connection.ts. To: the stream.
//
//   open ──end, error, close, failed write──► destroyed, after `onLost`
//     └───────────destroy()─────────────────► destroyed ──the stream's close event──► closed, after `onClosed`
import type { Duplex } from 'node:stream'
import type { Clock, Timer } from '../clock.ts'
import type { Log } from '../logger.ts'

/** None of them may throw. */
export interface WireEvents {
  /** Also those that came together with the end, and before `onLost` tells of it. */
  onBytes(bytes: Buffer): void
  /** The stream gave everything on: `unsentBytes` fell to 0 after a write had left some. */
  onDrained(): void
  /** The stream is of no more use, and is destroyed behind this call. `undefined`: the other side ended it. Not after `destroy`. */
  onLost(error: unknown): void
  /** Destroyed and closed: the stream reads no segment any more. Once. */
  onClosed(): void
}

/** How long a destroyed stream may take to close before we ask it ourselves. */
const CLOSE_LOOK_MS = 1_000

export class Wire {
  readonly #stream: Duplex & { ref?: () => unknown; unref?: () => unknown }
  readonly #events: WireEvents
  readonly #clock: Clock
  readonly #log: Log
  readonly #peer: string
  #state: 'open' | 'destroyed' | 'closed' = 'open'
  #hasUnsent = false
  #closeLook: Timer | undefined

  constructor(stream: Duplex, events: WireEvents, context: { clock: Clock; log: Log; brokerName: string }) {
    this.#stream = stream
    this.#events = events
    this.#clock = context.clock
    this.#log = context.log
    this.#peer = context.brokerName
    // These listeners stay for good: an error event without one, however late, would end the process.
    stream.on('data', (chunk: unknown) => this.#onData(chunk))
    stream.on('end', () => this.#lose(undefined))
    stream.on('error', (error: unknown) => this.#lose(error ?? new Error('an error event without an error')))
    stream.on('close', () => {
      // A close event that a stream emits by hand proves nothing: `destroy` will bring the real one.
      const hasClosed = stream.closed ?? stream.destroyed
      this.#lose(undefined)
      if (hasClosed) this.#close()
    })
  }

  /** What the stream holds and has not handed on. */
  get unsentBytes(): number {
    return this.#stream.writableLength
  }

  /** False: the stream takes nothing any more, though it may not have said so yet. */
  get isWritable(): boolean {
    return this.#state === 'open' && !this.#stream.destroyed
  }

  /**
   * Writes segments by reference, in one `writev` where the stream can. `onWritten` comes when they were handed to the kernel, and never
   * once the stream is destroyed: callbacks prove nothing then (Node 20 reports success for what was thrown away).
   */
  write(segments: readonly Uint8Array[], onWritten: () => void): void {
    const stream = this.#stream
    const last = segments.length - 1
    try {
      stream.cork()
      for (let index = 0; index < last; index++) stream.write(segments[index])
      stream.write(segments[last], (error) => {
        if (error) this.#lose(error)
        if (!this.isWritable) return
        onWritten()
        if (this.#hasUnsent && stream.writableLength === 0) {
          this.#hasUnsent = false
          this.#events.onDrained()
        }
      })
      stream.uncork()
    } catch (error) {
      this.#lose(error)
    }
    if (stream.writableLength > 0) this.#hasUnsent = true
  }

  /** Whether the stream keeps the process running. A stream of the user's may not know how. */
  setKeepAlive(keepAlive: boolean): void {
    if (keepAlive) this.#stream.ref?.()
    else this.#stream.unref?.()
  }

  /** Nothing more is read or told but `onClosed`. */
  destroy(): void {
    if (this.#state !== 'open') return
    this.#state = 'destroyed'
    try {
      this.#stream.destroy()
    } catch (error) {
      this.#log.error({ err: error, broker: this.#peer }, 'a stream that dial opened threw when it was destroyed')
    }
    this.#closeLook = this.#clock.setTimer(CLOSE_LOOK_MS, () => this.#lookForClose())
  }

  #onData(chunk: unknown): void {
    if (this.#state !== 'open') return
    if (Buffer.isBuffer(chunk)) this.#events.onBytes(chunk)
    else if (chunk instanceof Uint8Array)
      this.#events.onBytes(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))
    else this.#lose(new TypeError(`the stream that dial opened gave a ${typeof chunk} where bytes belong`))
  }

  #lose(error: unknown): void {
    if (this.#state !== 'open') return
    this.#events.onLost(error)
    this.destroy()
  }

  // For streams that close without a word (`emitClose: false`). One that does not close at all may still read our segments, so there
  // is nothing to tell but the log.
  #lookForClose(): void {
    if (this.#stream.closed) {
      this.#close()
      return
    }
    this.#log.warn({ broker: this.#peer }, 'a stream that dial opened was destroyed and does not close')
    this.#closeLook = this.#clock.setTimer(CLOSE_LOOK_MS, () => this.#lookForClose(), false)
  }

  #close(): void {
    if (this.#state !== 'destroyed') return
    this.#state = 'closed'
    this.#closeLook?.cancel()
    this.#events.onClosed()
  }
}
