// A socket with a hand on the wire: what goes out and what comes in can be looked at, changed, or cut in the middle. It keeps the rule
// that the producer's `dial` has: a chunk is not read any more once its write callback was called.
// From: limited-dial.ts, cutting-dial.ts.
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

/** Bytes that go on, and whether they are the last of this connection. */
export interface Passage {
  readonly bytes: Uint8Array
  readonly isLast: boolean
}

export interface Tap {
  outgoing(bytes: Buffer): Passage
  incoming(bytes: Buffer): Passage
  /** How a connection ends whose last bytes have passed: with an error, or as if the peer had hung up. */
  readonly lastError?: () => Error | undefined
}

export function tappedStream(socket: Socket, tap: Tap): Duplex {
  let isOver = false
  const stream = new Duplex({
    allowHalfOpen: false,
    read() {
      socket.resume()
    },
    write(chunk: Buffer, _encoding, callback) {
      if (isOver) {
        callback()
        return
      }
      const { bytes, isLast } = tap.outgoing(chunk)
      if (isLast) isOver = true
      socket.write(bytes, (error) => {
        callback(error)
        if (isLast) end()
      })
    },
    final(callback) {
      socket.end(callback)
    },
    destroy(error, callback) {
      socket.destroy()
      callback(error)
    },
  })

  /** The last bytes went through: both sides lose the connection. */
  function end(): void {
    socket.destroy()
    const error = tap.lastError?.()
    if (error !== undefined) stream.destroy(error)
    else stream.push(null)
  }

  socket.on('data', (chunk) => {
    if (isOver || stream.destroyed) return
    const { bytes, isLast } = tap.incoming(chunk)
    if (bytes.length > 0 && !stream.push(bytes)) socket.pause()
    if (!isLast) return
    isOver = true
    end()
  })
  socket.on('end', () => {
    if (!isOver && !stream.destroyed) stream.push(null)
  })
  socket.on('error', (error) => stream.destroy(error))
  socket.on('close', () => {
    if (!isOver) stream.destroy()
  })
  return stream
}
