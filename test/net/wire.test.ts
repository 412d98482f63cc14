import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Duplex, type DuplexOptions } from 'node:stream'
import { describe, expect, test, vi } from 'vitest'
import { tcpDial } from '../../src/net/dial.ts'
import { Wire } from '../../src/net/wire.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { memoryDuplexPair } from '../support/memory-duplex.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { startWireServer } from '../support/wire-server.ts'

/** Everything that the wire tells, in order, and whether the stream had closed by then. */
function wireOver(stream: Duplex) {
  const told: string[] = []
  const clock = new FakeClock()
  const log = new RecordingLog()
  const events = {
    onBytes: (bytes: Buffer) => void told.push(`bytes ${bytes.toString('hex')}`),
    onDrained: () => void told.push('drained'),
    onLost: (error: unknown) => void told.push(error === undefined ? 'lost' : `lost: ${(error as Error).message}`),
    onClosed: () => void told.push(`closed, stream ${stream.closed ? 'closed' : 'open'}`),
  }
  return { told, clock, log, wire: new Wire(stream, events, { clock, log, brokerName: 'b:9092' }) }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function turns(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await turn()
}

/** A stream that takes everything and says nothing; `misbehave` may replace any of it. */
const quietStream = (misbehave: DuplexOptions = {}): Duplex =>
  new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback(), ...misbehave })

describe('however a stream ends, it is lost once and closes once', () => {
  test('error and no close', async () => {
    const stream = quietStream({ autoDestroy: false })
    const { told } = wireOver(stream)
    stream.emit('error', new Error('broken'))
    expect(told).toEqual(['lost: broken'])
    expect(stream.destroyed).toBe(true)
    await turns(2)
    expect(told).toEqual(['lost: broken', 'closed, stream closed'])
  })

  test('an error event without an error', async () => {
    const stream = quietStream({ autoDestroy: false })
    const { told } = wireOver(stream)
    stream.emit('error')
    await turns(2)
    expect(told).toEqual(['lost: an error event without an error', 'closed, stream closed'])
  })

  test('close and no error', async () => {
    const stream = quietStream()
    const { told } = wireOver(stream)
    stream.destroy()
    await turns(2)
    expect(told).toEqual(['lost', 'closed, stream closed'])
  })

  test('end and no close, as streams that stay half open do', async () => {
    const stream = quietStream({ allowHalfOpen: true, autoDestroy: false })
    const { told } = wireOver(stream)
    stream.push(null)
    await turns(3)
    expect(told).toEqual(['lost', 'closed, stream closed'])
    expect(stream.destroyed).toBe(true)
  })

  test('destroyed with an error', async () => {
    const stream = quietStream()
    const { told } = wireOver(stream)
    stream.destroy(new Error('broken'))
    await turns(2)
    expect(told).toEqual(['lost: broken', 'closed, stream closed'])
  })

  test('errors again and again, also after the close', async () => {
    const stream = quietStream({ autoDestroy: false })
    const { told } = wireOver(stream)
    stream.emit('error', new Error('first'))
    stream.emit('error', new Error('second'))
    await turns(2)
    stream.emit('error', new Error('third'))
    stream.emit('close')
    expect(told).toEqual(['lost: first', 'closed, stream closed'])
  })

  test('a close event that is not true destroys the stream, and the true one counts', async () => {
    const stream = quietStream({ autoDestroy: false })
    const { told } = wireOver(stream)
    stream.emit('close')
    expect(told).toEqual(['lost'])
    expect(stream.destroyed).toBe(true)
    await turns(2)
    expect(told).toEqual(['lost', 'closed, stream closed'])
  })

  test('a stream that closes without a word is asked after a second', async () => {
    const stream = quietStream({ emitClose: false })
    const { told, clock, log, wire } = wireOver(stream)
    wire.destroy()
    await turns(3)
    expect(told).toEqual([])
    clock.advance(1_000)
    expect(told).toEqual(['closed, stream closed'])
    expect(log.lines).toEqual([])
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('a stream that does not close is not taken for closed: the log says so', async () => {
    let release: () => void = () => {}
    const stream = quietStream({
      destroy: (_error, callback) => {
        release = () => callback(null)
      },
    })
    const { told, clock, log, wire } = wireOver(stream)
    wire.destroy()
    await turns(3)
    clock.advance(3_000)
    expect(told).toEqual([])
    expect(log.at('warn')).toHaveLength(3)
    expect(clock.keepAliveCount).toBe(0)
    release()
    await turns(2)
    expect(told).toEqual(['closed, stream closed'])
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('a stream whose destroy throws is logged', () => {
    const stream = quietStream()
    stream.destroy = () => {
      throw new Error('no')
    }
    const { log, wire } = wireOver(stream)
    wire.destroy()
    expect(log.at('error')).toMatchObject([{ fields: { broker: 'b:9092', err: { message: 'no' } } }])
  })
})

describe('reading', () => {
  test('bytes that come together with the end are given before it', async () => {
    const { near, far } = memoryDuplexPair()
    const { told } = wireOver(near)
    far.write(Buffer.from('aabb', 'hex'))
    far.end(Buffer.from('cc', 'hex'))
    await once(near, 'close')
    expect(told).toEqual(['bytes aabb', 'bytes cc', 'lost', 'closed, stream closed'])
  })

  test('nothing is read once it was destroyed', async () => {
    const { near, far } = memoryDuplexPair()
    const { told, wire } = wireOver(near)
    far.write(Buffer.from('aabb', 'hex'))
    wire.destroy()
    await once(near, 'close')
    expect(told).toEqual(['closed, stream closed'])
  })

  test('plain byte arrays are bytes too', async () => {
    const stream = quietStream({ readableObjectMode: true })
    const { told } = wireOver(stream)
    stream.push(Uint8Array.of(1, 2, 3).subarray(1))
    await turns(2)
    expect(told).toEqual(['bytes 0203'])
  })

  test('a stream that gives text is lost', async () => {
    const stream = quietStream()
    stream.setEncoding('utf8')
    const { told } = wireOver(stream)
    stream.push(Buffer.from('hello'))
    await turns(3)
    expect(told).toEqual([
      'lost: the stream that dial opened gave a string where bytes belong',
      'closed, stream closed',
    ])
  })
})

describe('writing', () => {
  const segments = [Uint8Array.of(1), Uint8Array.of(2, 3), Uint8Array.of(4)]

  test('the segments of one request go out in one writev, by reference', async () => {
    const calls: Uint8Array[][] = []
    const stream = quietStream({
      writev: (writes, callback) => {
        calls.push(writes.map(({ chunk }) => chunk))
        callback()
      },
    })
    const { wire } = wireOver(stream)
    await new Promise<void>((resolve) => wire.write(segments, resolve))
    expect(calls).toHaveLength(1)
    expect(calls[0]!.map((chunk) => chunk.buffer)).toEqual(segments.map((segment) => segment.buffer))
    expect(calls[0]![1]!.buffer).toBe(segments[1]!.buffer)
  })

  test('onWritten waits for the stream, and drained follows when nothing is left', async () => {
    const waiting: (() => void)[] = []
    const stream = quietStream({ writev: (_writes, callback) => void waiting.push(callback) })
    const { told, wire } = wireOver(stream)
    wire.write(segments, () => told.push('written 1'))
    wire.write(segments, () => told.push('written 2'))
    expect(wire.unsentBytes).toBe(8)
    waiting.shift()!()
    await turn()
    expect(told).toEqual(['written 1'])
    expect(wire.unsentBytes).toBe(4)
    waiting.shift()!()
    await turn()
    expect(told).toEqual(['written 1', 'written 2', 'drained'])
    expect(wire.unsentBytes).toBe(0)
  })

  test('after destroy a write callback that reports success is not believed', async () => {
    let release: () => void = () => {}
    const stream = quietStream({
      write: (_chunk, _encoding, callback) => {
        release = () => callback(null)
      },
    })
    const { told, wire } = wireOver(stream)
    wire.write([Uint8Array.of(1)], () => told.push('written'))
    wire.destroy()
    release()
    await turns(3)
    expect(told).toEqual(['closed, stream closed'])
  })

  test('nor after the stream destroyed itself and has not said so yet', async () => {
    let release: () => void = () => {}
    const stream = quietStream({
      write: (_chunk, _encoding, callback) => {
        release = () => callback(null)
      },
    })
    const { told, wire } = wireOver(stream)
    wire.write([Uint8Array.of(1)], () => told.push('written'))
    stream.destroy()
    expect(wire.isWritable).toBe(false)
    release()
    await turns(3)
    expect(told).toEqual(['lost', 'closed, stream closed'])
  })

  test('a real socket destroyed in the middle of a write reports nothing as written', async () => {
    await using server = await startWireServer((peer) => void peer.stream.pause())
    const stream = await tcpDial({ host: server.host, port: server.port, signal: new AbortController().signal })
    const { told, wire } = wireOver(stream)
    // Far more than the kernel takes from a reader that does not read.
    for (let index = 0; index < 4; index++) wire.write([Buffer.alloc(16_777_216)], () => told.push('written'))
    expect(wire.unsentBytes).toBeGreaterThan(0)
    wire.destroy()
    await once(stream, 'close')
    await turns(2)
    expect(told).toEqual(['closed, stream closed'])
  })

  test('a write that fails loses the stream', async () => {
    const stream = quietStream({ write: (_chunk, _encoding, callback) => callback(new Error('EPIPE')) })
    const { told, wire } = wireOver(stream)
    wire.write([Uint8Array.of(1)], () => told.push('written'))
    await turns(3)
    expect(told).toEqual(['lost: EPIPE', 'closed, stream closed'])
  })

  test('a stream whose write throws is lost', async () => {
    const stream = quietStream({
      write: () => {
        throw new Error('torn')
      },
    })
    const { told, wire } = wireOver(stream)
    expect(() => wire.write([Uint8Array.of(1)], () => told.push('written'))).not.toThrow()
    await turns(3)
    expect(told).toEqual(['lost: torn', 'closed, stream closed'])
  })
})

test('keeping the process alive is asked of streams that know how, and of others not', () => {
  const { near } = memoryDuplexPair()
  const plain = wireOver(near).wire
  expect(() => plain.setKeepAlive(false)).not.toThrow()
  const socket = Object.assign(quietStream(), { ref: vi.fn(), unref: vi.fn() }) as unknown as Socket
  const { wire } = wireOver(socket)
  wire.setKeepAlive(false)
  wire.setKeepAlive(true)
  expect(socket.unref).toHaveBeenCalledOnce()
  expect(socket.ref).toHaveBeenCalledOnce()
})
