// A broker that says it speaks less than it does: the way to make a producer use an older version of an API, through nothing but its
// public `dial`. The answer to ApiVersions is changed on its way back, in place; all else passes as it is, and the versions of the
// requests are noted. Read by hand here: our own codec must not be its own witness.
// From: wire-versions.test.ts.

import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Dial, tcpDial } from '../../../src/net/dial.ts'
import { type Passage, tappedStream } from './tapped-stream.ts'

const API_VERSIONS = 18
/** The first version whose answer has tagged fields behind each API, and a compact count in front. */
const FLEXIBLE_FROM = 3

export interface LimitedDial {
  readonly dial: Dial
  /** What was asked: 'Produce' by its key, and the versions of its requests in their order, each once. */
  versionsUsed(apiKey: number): readonly number[]
}

/** @param limits The highest version that the broker will seem to speak, by API key; others stay as they are. */
export function limitedDial(limits: ReadonlyMap<number, number>): LimitedDial {
  const used = new Map<number, Set<number>>()
  const dial: Dial = async (target): Promise<Duplex> => {
    const socket = (await tcpDial(target)) as Socket
    const asked = new Map<number, number>() // version of an ApiVersions request by its correlation id
    const requests = new Frames((frame) => {
      const apiKey = frame.readInt16BE(0)
      const version = frame.readInt16BE(2)
      used.set(apiKey, (used.get(apiKey) ?? new Set()).add(version))
      if (apiKey === API_VERSIONS) asked.set(frame.readInt32BE(4), version)
    })
    const answers = new Frames((frame) => {
      const version = asked.get(frame.readInt32BE(0))
      if (version !== undefined) limit(frame, version, limits)
    })
    return tappedStream(socket, {
      outgoing: (bytes) => {
        requests.push(bytes)
        return all(bytes)
      },
      incoming: (bytes) => all(answers.push(bytes)),
    })
  }
  return { dial, versionsUsed: (apiKey) => [...(used.get(apiKey) ?? [])] }
}

const all = (bytes: Uint8Array): Passage => ({ bytes, isLast: false })

// Answer: correlation id, error code, then the APIs: a count and for each key, lowest and highest version (and a byte of tagged fields).
function limit(frame: Buffer, version: number, limits: ReadonlyMap<number, number>): void {
  const errorCode = frame.readInt16BE(4)
  // A refusal comes in the shape of version 0, and we ask again.
  const isFlexible = version >= FLEXIBLE_FROM && errorCode === 0
  const count = isFlexible ? frame.readUInt8(6) - 1 : frame.readInt32BE(6)
  if (isFlexible && count > 126) throw new Error(`${count} APIs: their count has more than one byte`)
  const first = isFlexible ? 7 : 10
  const size = isFlexible ? 7 : 6
  for (let index = 0; index < count; index++) {
    const at = first + index * size
    const highest = limits.get(frame.readInt16BE(at))
    if (highest !== undefined) frame.writeInt16BE(Math.min(highest, frame.readInt16BE(at + 4)), at + 4)
  }
}

/** Cuts a stream into frames without their sizes. */
class Frames {
  readonly #each: (frame: Buffer) => void
  #rest: Buffer = Buffer.alloc(0)

  constructor(each: (frame: Buffer) => void) {
    this.#each = each
  }

  /** Answers the bytes of the frames that are whole by now, sizes included, with what was changed in them. */
  push(bytes: Buffer): Buffer {
    this.#rest = Buffer.concat([this.#rest, bytes])
    let end = 0
    while (this.#rest.length >= end + 4 && this.#rest.length >= end + 4 + this.#rest.readInt32BE(end)) {
      const start = end + 4
      end = start + this.#rest.readInt32BE(end)
      this.#each(this.#rest.subarray(start, end))
    }
    const whole = this.#rest.subarray(0, end)
    this.#rest = this.#rest.subarray(end)
    return whole
  }
}
