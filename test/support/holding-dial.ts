// HoldingDial: real connections to a fake cluster whose answers a test can hold back on the way and let go at an instant of its choice: as
// bytes that lie in the socket while the event loop is blocked.
// From: tests that must know what is read before a timer is looked at. To: memory-duplex.ts, whose near end the producer gets.
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Dial } from '../../src/net/dial.ts'
import { memoryDuplexPair } from './memory-duplex.ts'

export class HoldingDial {
  /** Bytes of answers that wait. */
  heldBytes = 0
  #isHolding = false
  #held: { readonly far: Duplex; readonly chunk: Buffer }[] = []

  readonly dial: Dial = ({ host, port }) =>
    new Promise((resolve, reject) => {
      const { near, far } = memoryDuplexPair()
      const socket = connect(port, host)
      socket.once('connect', () => resolve(near))
      socket.on('error', (error) => {
        reject(error)
        far.destroy()
      })
      socket.on('data', (chunk: Buffer) => this.#pass(far, chunk))
      socket.on('close', () => far.destroy())
      far.on('data', (chunk: Buffer) => socket.write(chunk))
      far.on('close', () => socket.destroy())
    })

  /** From now on answers come as far as here. */
  hold(): void {
    this.#isHolding = true
  }

  /** What was held comes one turn of the event loop later, before anything that is asked for after this. */
  release(): void {
    this.#isHolding = false
    this.heldBytes = 0
    for (const { far, chunk } of this.#held.splice(0)) far.write(chunk)
  }

  #pass(far: Duplex, chunk: Buffer): void {
    if (this.#isHolding) {
      this.#held.push({ far, chunk })
      this.heldBytes += chunk.length
    } else if (!far.destroyed) far.write(chunk)
  }
}
