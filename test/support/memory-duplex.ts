// MemoryDuplex: two streams, each reading what the other writes, without a socket. It behaves as TCP does where that matters: bytes are
// copied before the write callback comes, a slow reader makes the writer wait, `end` reaches the other side after the bytes, and
// `destroy` resets the other side.
// From: tests, through the `dial` seam.
import { Duplex } from 'node:stream'
import type { Dial, DialTarget } from '../../src/net/dial.ts'

export interface MemoryDuplexOptions {
  /** Largest chunk that the other side sees. Default: whatever one write brought. */
  readonly chunkBytes?: number
}

export interface MemoryDuplexPair {
  readonly near: Duplex
  readonly far: Duplex
}

/** Two linked ends. Every transfer takes one turn of the event loop, in order. */
export function memoryDuplexPair(options: MemoryDuplexOptions = {}): MemoryDuplexPair {
  const near: End = makeEnd(() => far, options)
  const far: End = makeEnd(() => near, options)
  return { near: near.duplex, far: far.duplex }
}

/** A `dial` whose every call makes a pair and gives the far end to `accept`. */
export function memoryDial(accept: (far: Duplex, target: DialTarget) => void, options: MemoryDuplexOptions = {}): Dial {
  return async (target) => {
    const { near, far } = memoryDuplexPair(options)
    accept(far, target)
    return near
  }
}

interface End {
  readonly duplex: Duplex
  /** The callback of a write that this end, full, has not taken yet. */
  whenRead: (() => void) | undefined
}

function makeEnd(other: () => End, { chunkBytes = Number.POSITIVE_INFINITY }: MemoryDuplexOptions): End {
  const transfer = (chunks: readonly Uint8Array[], callback: (error?: Error | null) => void): void => {
    setImmediate(() => {
      const { duplex: peer } = other()
      if (peer.destroyed) {
        callback(resetOf(duplex))
        return
      }
      const hasRoom = push(peer, Buffer.concat(chunks), chunkBytes)
      if (hasRoom) callback()
      else other().whenRead = callback
    })
  }
  const duplex = new Duplex({
    allowHalfOpen: false,
    read() {
      const { whenRead } = end
      end.whenRead = undefined
      whenRead?.()
    },
    write: (chunk, _encoding, callback) => transfer([chunk], callback),
    writev: (writes, callback) =>
      transfer(
        writes.map(({ chunk }) => chunk),
        callback,
      ),
    final(callback) {
      setImmediate(() => {
        if (!other().duplex.destroyed) other().duplex.push(null)
        callback()
      })
    },
    destroy(error, callback) {
      setImmediate(() => {
        const { duplex: peer } = other()
        if (!peer.destroyed && !peer.readableEnded) {
          if (duplex.writableFinished) peer.push(null)
          else peer.destroy(resetOf(peer))
        }
        callback(error)
      })
    },
  })
  const end: End = { duplex, whenRead: undefined }
  return end
}

function push(duplex: Duplex, bytes: Buffer, chunkBytes: number): boolean {
  let hasRoom = true
  for (let at = 0; at < bytes.length; at += chunkBytes) hasRoom = duplex.push(bytes.subarray(at, at + chunkBytes))
  return hasRoom
}

// An end that no test listens to just closes: an error event without a listener would end the process.
const resetOf = (duplex: Duplex): Error | undefined =>
  duplex.listenerCount('error') > 0 ? Object.assign(new Error('ECONNRESET'), { code: 'ECONNRESET' }) : undefined
