// A network that breaks: every connection is cut after a random number of bytes, on its way to the broker or back, and always in the
// middle of a frame. Half a request reaches the broker, or half an answer reaches us, and which of the requests before it were carried out
// is for the producer to find out. The same seed gives the same numbers.
// From: order.test.ts.
import type { Socket } from 'node:net'
import { type Dial, tcpDial } from '../../../src/net/dial.ts'
import { type Passage, tappedStream } from './tapped-stream.ts'

export interface CuttingOptions {
  readonly seed: number
  /** A connection lives for up to so many bytes of requests, or of answers. */
  readonly requestBytes: number
  readonly answerBytes: number
}

export interface CuttingDial {
  readonly dial: Dial
  /** Connections that were cut inside a request, and inside an answer. */
  readonly cuts: { readonly inRequests: number; readonly inAnswers: number }
}

export function cuttingDial({ seed, requestBytes, answerBytes }: CuttingOptions): CuttingDial {
  const random = seeded(seed)
  const cuts = { inRequests: 0, inAnswers: 0 }
  const dial: Dial = async (target) => {
    const socket = (await tcpDial(target)) as Socket
    const isRequestCut = random() < 0.5
    const bytesLeft = Math.floor(random() * (isRequestCut ? requestBytes : answerBytes))
    const withError = random() < 0.5
    const cutter = new Cutter(bytesLeft, () => {
      if (isRequestCut) cuts.inRequests++
      else cuts.inAnswers++
    })
    return tappedStream(socket, {
      outgoing: (bytes) => (isRequestCut ? cutter.pass(bytes) : { bytes, isLast: false }),
      incoming: (bytes) => (isRequestCut ? { bytes, isLast: false } : cutter.pass(bytes)),
      lastError: () => (withError ? Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }) : undefined),
    })
  }
  return { dial, cuts }
}

/** Follows the frames of one direction, and ends it behind `bytesLeft` bytes, or a little later if that is between two frames. */
class Cutter {
  #bytesLeft: number
  readonly #onCut: () => void
  /** Of the present frame: its size as far as it was seen, and how much of it is still to come. */
  #sizeBytes = 0
  #size = 0
  #frameLeft = 0

  constructor(bytesLeft: number, onCut: () => void) {
    this.#bytesLeft = bytesLeft
    this.#onCut = onCut
  }

  pass(bytes: Buffer): Passage {
    for (let at = 0; at < bytes.length; at++) {
      if (this.#bytesLeft <= 0 && this.#isInsideFrame) {
        this.#onCut()
        return { bytes: bytes.subarray(0, at), isLast: true }
      }
      this.#bytesLeft--
      this.#step(bytes[at]!)
    }
    return { bytes, isLast: false }
  }

  get #isInsideFrame(): boolean {
    return this.#sizeBytes > 0
  }

  #step(byte: number): void {
    if (this.#sizeBytes < 4) {
      this.#size = this.#size * 256 + byte
      if (++this.#sizeBytes === 4) this.#frameLeft = this.#size
    } else {
      this.#frameLeft--
    }
    if (this.#sizeBytes === 4 && this.#frameLeft === 0) {
      this.#sizeBytes = 0
      this.#size = 0
    }
  }
}

// mulberry32: small, and the same on every machine.
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
