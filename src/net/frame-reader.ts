// FrameReader: chunks in, whole frames out, however the network cut them. A frame is int32 size and that many bytes.
// From: connection.ts (and the broker side of the tests). To: whoever gave `onFrame`.
//
//   a whole frame inside one chunk       handed out as a view on the chunk, nothing is copied
//   a frame cut by the end of a chunk    [ size | bytes so far . . . . ]   #held, a buffer of its own that doubles up to the frame's
//                                                       ^ #heldBytes       size as bytes really arrive: a lying size costs nothing
import { type KafkaError, kafkaError } from '../errors.ts'

const SIZE_BYTES = 4
const SMALLEST_HELD_BYTES = 512

export class FrameReader {
  readonly #maxFrameBytes: number
  readonly #onFrame: (frame: Buffer) => void
  readonly #peer: string
  /** The start of a frame that is not whole yet, its size included. Never written again once its frame was handed out. */
  #held: Buffer = Buffer.alloc(0)
  #heldBytes = 0
  #isFirstFrame = true
  /** Chunks that arrived while a frame was being handed out: a stream may answer from inside `write`. */
  #later: Buffer[] | undefined

  /**
   * @param maxFrameBytes Larger frames are refused, the size itself not counted.
   * @param onFrame Gets everything behind the size, correlation id included. The frame may be a view on a whole chunk: keep a copy of
   *   what outlives the call, or the chunk stays in memory with it.
   * @param peer For messages: `"broker 1 at a:9092"`.
   */
  constructor(maxFrameBytes: number, onFrame: (frame: Buffer) => void, peer = 'the peer') {
    this.#maxFrameBytes = maxFrameBytes
    this.#onFrame = onFrame
    this.#peer = peer
  }

  /** Bytes of a frame that is not whole yet. At most `maxFrameBytes` and the size. */
  get bufferedBytes(): number {
    return this.#heldBytes
  }

  /**
   * Takes what arrived; calls `onFrame` for each frame that is whole now, in order. What `onFrame` throws comes out here, and the
   * reader is of no more use then.
   *
   * @throws PROTOCOL_ERROR, NOT_KAFKA or TLS_EXPECTED when the next four bytes cannot be the size of a frame.
   */
  push(chunk: Buffer): void {
    if (this.#later !== undefined) {
      this.#later.push(chunk)
      return
    }
    this.#later = []
    try {
      this.#take(chunk)
      for (let next = this.#later.shift(); next !== undefined; next = this.#later.shift()) this.#take(next)
    } finally {
      this.#later = undefined
    }
  }

  #take(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#heldBytes > 0) {
        at = this.#fill(chunk, at)
        continue
      }
      const bodyAt = at + SIZE_BYTES
      const frameEnd = bodyAt <= chunk.length ? bodyAt + this.#size(chunk, at) : Number.POSITIVE_INFINITY
      if (frameEnd > chunk.length) {
        this.#hold(chunk, at, chunk.length, frameEnd - at)
        return
      }
      at = frameEnd
      this.#give(chunk.subarray(bodyAt, frameEnd))
    }
  }

  /** Adds to the held frame what it lacks, at most; returns where the rest of the chunk begins. */
  #fill(chunk: Buffer, at: number): number {
    if (this.#heldBytes < SIZE_BYTES) {
      const end = Math.min(chunk.length, at + SIZE_BYTES - this.#heldBytes)
      this.#hold(chunk, at, end, Number.POSITIVE_INFINITY)
      at = end
      if (this.#heldBytes < SIZE_BYTES) return at
    }
    const frameBytes = SIZE_BYTES + this.#size(this.#held, 0)
    const end = Math.min(chunk.length, at + frameBytes - this.#heldBytes)
    this.#hold(chunk, at, end, frameBytes)
    if (this.#heldBytes === frameBytes) {
      const frame = this.#held.subarray(SIZE_BYTES, frameBytes)
      this.#held = Buffer.alloc(0)
      this.#heldBytes = 0
      this.#give(frame)
    }
    return end
  }

  #hold(chunk: Buffer, start: number, end: number, frameBytes: number): void {
    const needed = this.#heldBytes + end - start
    if (needed > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(
        Math.max(needed, Math.min(frameBytes, Math.max(SMALLEST_HELD_BYTES, needed * 2))),
      )
      this.#held.copy(grown, 0, 0, this.#heldBytes)
      this.#held = grown
    }
    chunk.copy(this.#held, this.#heldBytes, start, end)
    this.#heldBytes = needed
  }

  #give(frame: Buffer): void {
    this.#isFirstFrame = false
    this.#onFrame(frame)
  }

  #size(bytes: Buffer, at: number): number {
    const size = bytes.readInt32BE(at)
    if (size < 0 || size > this.#maxFrameBytes) throw this.#refusal(bytes, at, size)
    return size
  }

  // Most of what is not Kafka shows in the first four bytes it sends. Later on they only mean that the frames went out of step.
  #refusal(bytes: Buffer, at: number, size: number): KafkaError {
    const start = bytes.subarray(at, at + SIZE_BYTES)
    const hex = start.toString('hex').replace(/..(?=.)/g, '$& ')
    const details = { broker: this.#peer }
    if (this.#isFirstFrame && (start[0] === 0x15 || start[0] === 0x16) && start[1] === 0x03 && start[2]! <= 0x04) {
      const what = start[0] === 0x15 ? 'a TLS alert' : 'a TLS handshake'
      return kafkaError('TLS_EXPECTED', `${this.#peer} answered with ${what} (${hex}): this listener expects TLS`, {
        ...details,
        hint: 'Use a PLAINTEXT listener, or a `dial` that speaks TLS',
      })
    }
    if (this.#isFirstFrame && start.every((byte) => byte >= 0x20 && byte < 0x7f)) {
      const text = start.toString('latin1')
      const what = text === 'HTTP' ? 'this is a web server, not Kafka' : 'this is not Kafka'
      return kafkaError('NOT_KAFKA', `${this.#peer} answered with text that starts with '${text}': ${what}`, {
        ...details,
        hint: 'Check the port: bootstrapServers needs a listener of a Kafka broker, by default 9092',
      })
    }
    const wrong = size < 0 ? 'a negative size' : `more than the ${this.#maxFrameBytes} that are allowed`
    return kafkaError('PROTOCOL_ERROR', `${this.#peer} announced a frame of ${size} bytes (${hex}), ${wrong}`, details)
  }
}
