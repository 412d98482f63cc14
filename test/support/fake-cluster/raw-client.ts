// RawClient: a socket to a fake broker that sends the bytes it is given and reads whole frames, so that a test can be a client that does
// everything wrong. Knows nothing of Kafka but the int32 in front of a frame.
// From: tests of the fake cluster itself.
import { connect, type Socket } from 'node:net'
import { deferred } from './deferred.ts'

export class RawClient {
  readonly #socket: Socket
  readonly #frames: Buffer[] = []
  #bytes = Buffer.alloc(0)
  #isClosed = false
  #wake: () => void = () => undefined
  /** What the socket failed with, if it did. */
  error: Error | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk])
      while (this.#bytes.length >= 4 && this.#bytes.length >= 4 + this.#bytes.readInt32BE(0)) {
        const end = 4 + this.#bytes.readInt32BE(0)
        this.#frames.push(this.#bytes.subarray(4, end))
        this.#bytes = this.#bytes.subarray(end)
      }
      this.#wake()
    })
    socket.on('error', (error) => {
      this.error = error
    })
    socket.on('close', () => {
      this.#isClosed = true
      this.#wake()
    })
  }

  static async connect(address: string): Promise<RawClient> {
    const [host, port] = address.split(':')
    const socket = connect({ host: host!, port: Number(port) })
    const client = new RawClient(socket)
    const connected = deferred()
    socket.once('connect', () => connected.resolve())
    socket.once('error', (error) => connected.reject(error))
    await connected.promise
    return client
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes)
  }

  /** The next frame, without its size; `undefined`: the connection ended first. */
  async frame(): Promise<Buffer | undefined> {
    while (this.#frames.length === 0 && !this.#isClosed) {
      const woken = deferred()
      this.#wake = () => woken.resolve()
      await woken.promise
    }
    return this.#frames.shift()
  }

  async ask(bytes: Uint8Array): Promise<Buffer | undefined> {
    this.send(bytes)
    return this.frame()
  }

  /** Settles when the connection has ended. */
  async closed(): Promise<void> {
    while (!this.#isClosed) {
      const woken = deferred()
      this.#wake = () => woken.resolve()
      await woken.promise
    }
  }

  close(): void {
    this.#socket.destroy()
  }
}
