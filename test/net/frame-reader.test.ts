import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { FrameReader } from '../../src/net/frame-reader.ts'
import { fromHex, toHex } from '../support/byte-builder.ts'

/** Frames of 0, 1, 5, 12 and 300 bytes, written out one behind the other. */
const bodies = ['', 'a0', 'b0b1b2b3b4', '000000070000000000000000', 'cd'.repeat(300)]
const stream = Buffer.from(
  fromHex(`00000000 00000001a0 00000005b0b1b2b3b4 0000000c000000070000000000000000 0000012c${'cd'.repeat(300)}`),
)

function readerInto(frames: string[], maxFrameBytes = 1_000): FrameReader {
  return new FrameReader(maxFrameBytes, (frame) => frames.push(toHex(frame)), 'broker 1 at b:9092')
}

const refusalOf = (hex: string, maxFrameBytes = 104_857_600): unknown => {
  try {
    readerInto([], maxFrameBytes).push(Buffer.from(fromHex(hex)))
  } catch (error) {
    return error
  }
  throw new Error(`${hex} was accepted`)
}

describe('however the network cuts a stream, the same frames come out', () => {
  test('in one piece', () => {
    const frames: string[] = []
    readerInto(frames).push(stream)
    expect(frames).toEqual(bodies)
  })

  test('cut once, at every byte', () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      const frames: string[] = []
      const reader = readerInto(frames)
      reader.push(stream.subarray(0, cut))
      reader.push(stream.subarray(cut))
      expect(frames, `cut at ${cut}`).toEqual(bodies)
      expect(reader.bufferedBytes).toBe(0)
    }
  })

  test('byte by byte', () => {
    const frames: string[] = []
    const reader = readerInto(frames)
    for (let at = 0; at < stream.length; at++) reader.push(stream.subarray(at, at + 1))
    expect(frames).toEqual(bodies)
  })

  test('cut anywhere, any number of times', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: stream.length }), { maxLength: 12 }), (cuts) => {
        const frames: string[] = []
        const reader = readerInto(frames)
        const at = [0, ...cuts.sort((a, b) => a - b), stream.length]
        for (let index = 1; index < at.length; index++) reader.push(stream.subarray(at[index - 1], at[index]))
        expect(frames).toEqual(bodies)
      }),
    )
  })
})

describe('memory', () => {
  test('a frame inside one chunk is a view on the chunk', () => {
    const seen: Buffer[] = []
    const reader = new FrameReader(1_000, (frame) => seen.push(frame))
    reader.push(stream)
    expect(seen.every((frame) => frame.buffer === stream.buffer)).toBe(true)
  })

  test('a frame that was cut is not written over by the next one', () => {
    const seen: Buffer[] = []
    const reader = new FrameReader(1_000, (frame) => seen.push(frame))
    for (let at = 0; at < stream.length; at += 7) reader.push(stream.subarray(at, at + 7))
    expect(seen.map((frame) => toHex(frame))).toEqual(bodies)
  })

  test('an announced size costs nothing until its bytes arrive', () => {
    const allocations = vi.spyOn(Buffer, 'allocUnsafeSlow')
    const reader = readerInto([], 104_857_600)
    reader.push(Buffer.from(fromHex('06400000 0102030405')))
    expect(reader.bufferedBytes).toBe(9)
    for (let times = 0; times < 10; times++) reader.push(Buffer.alloc(1_000))
    const largest = Math.max(...allocations.mock.calls.map(([size]) => size))
    allocations.mockRestore()
    expect(reader.bufferedBytes).toBe(10_009)
    expect(largest).toBeLessThan(32_000)
  })

  test('a frame of a mebibyte in chunks of 1000 bytes is copied a few times, not a thousand times', () => {
    const allocations = vi.spyOn(Buffer, 'allocUnsafeSlow')
    const frames: number[] = []
    const reader = new FrameReader(2_000_000, (frame) => frames.push(frame.length))
    const message = Buffer.alloc(4 + 1_048_576)
    message.writeInt32BE(1_048_576)
    for (let at = 0; at < message.length; at += 1_000) reader.push(message.subarray(at, at + 1_000))
    const sizes = allocations.mock.calls.map(([size]) => size)
    allocations.mockRestore()
    expect(frames).toEqual([1_048_576])
    expect(sizes.length).toBeLessThan(15)
    expect(Math.max(...sizes)).toBe(1_048_580)
  })
})

describe('a size that cannot be one is refused before anything is kept', () => {
  test('negative', () => {
    expect(refusalOf('ffffffff')).toMatchObject({
      code: 'PROTOCOL_ERROR',
      broker: 'broker 1 at b:9092',
      message: 'broker 1 at b:9092 announced a frame of -1 bytes (ff ff ff ff), a negative size',
    })
  })

  test('one byte more than allowed, while the allowed size passes', () => {
    expect(refusalOf('000003e9', 1_000)).toMatchObject({
      code: 'PROTOCOL_ERROR',
      message: 'broker 1 at b:9092 announced a frame of 1001 bytes (00 00 03 e9), more than the 1000 that are allowed',
    })
    const reader = readerInto([], 1_000)
    reader.push(Buffer.from(fromHex('000003e8 00')))
    expect(reader.bufferedBytes).toBe(5)
  })

  test('cut inside the size it is refused with the fourth byte', () => {
    const reader = readerInto([])
    reader.push(Buffer.from(fromHex('7fff')))
    reader.push(Buffer.from(fromHex('ff')))
    expect(() => reader.push(Buffer.from(fromHex('ff')))).toThrow('announced a frame of 2147483647 bytes')
  })

  test("'HTTP' is a web server", () => {
    // "HTTP/1.1 400 Bad Request"
    expect(refusalOf('485454502f312e31203430302042616420526571756573740d0a')).toMatchObject({
      code: 'NOT_KAFKA',
      retriable: false,
      message: expect.stringContaining("starts with 'HTTP': this is a web server, not Kafka"),
    })
  })

  test('other text is not Kafka either', () => {
    expect(refusalOf('5353482d322e30')).toMatchObject({ code: 'NOT_KAFKA', message: expect.stringContaining("'SSH-'") })
  })

  test('a TLS alert means that TLS is expected', () => {
    expect(refusalOf('15030300020228')).toMatchObject({
      code: 'TLS_EXPECTED',
      retriable: false,
      message: expect.stringContaining('a TLS alert (15 03 03 00): this listener expects TLS'),
    })
    expect(refusalOf('15030100020228')).toMatchObject({ code: 'TLS_EXPECTED' })
  })

  test('behind a first frame text is a fault of the frames, not of the address', () => {
    expect(refusalOf('00000001aa 48545450')).toMatchObject({ code: 'PROTOCOL_ERROR' })
    expect(refusalOf('00000001aa 15030300')).toMatchObject({ code: 'PROTOCOL_ERROR' })
  })
})

test('bytes that arrive while a frame is handed out come after it', () => {
  const frames: string[] = []
  const reader: FrameReader = new FrameReader(1_000, (frame) => {
    frames.push(toHex(frame))
    if (frames.length === 1) {
      reader.push(Buffer.from(fromHex('00000001')))
      reader.push(Buffer.from(fromHex('03')))
    }
  })
  reader.push(Buffer.from(fromHex('0000000101 0000000102')))
  expect(frames).toEqual(['01', '02', '03'])
})

test('what onFrame throws comes out of push', () => {
  const reader = new FrameReader(1_000, () => {
    throw new Error('mine')
  })
  expect(() => reader.push(stream)).toThrow('mine')
})
