// Requests and answers of one connection that is well. How it ends: connection-end.test.ts; how it begins: connection-open.test.ts.
import type { Duplex } from 'node:stream'
import Long from 'long'
import { describe, expect, test } from 'vitest'
import { initProducerId } from '../../src/protocol/messages/init-producer-id.ts'
import { bytes, toHex } from '../support/byte-builder.ts'
import { memoryDial } from '../support/memory-duplex.ts'
import {
  answered,
  int32,
  Outcomes,
  offered,
  open,
  probe,
  probeAnswer,
  turn,
  turns,
  UNENCODABLE,
  unanswered,
  valueIn,
} from '../support/probe.ts'
import { type ReceivedFrame, shakeHands, startWireServer, type WirePeer, wirePeer } from '../support/wire-server.ts'

/** A connection over memory whose far end has shaken hands, for tests that need exact chunks. */
async function openInMemory() {
  let far: WirePeer | undefined
  const dial = memoryDial((stream: Duplex) => {
    far = wirePeer(stream)
    void shakeHands(far, offered)
  })
  const opened = await open(undefined, { dial })
  return { ...opened, far: far! }
}

async function nextFrames(peer: WirePeer, count: number): Promise<ReceivedFrame[]> {
  const frames: ReceivedFrame[] = []
  while (frames.length < count) frames.push(await peer.nextFrame())
  return frames
}

describe('one request', () => {
  test('is these bytes on the wire', async () => {
    const { connection, far } = await openInMemory()
    connection.exchange(probe, { value: 258, payload: Uint8Array.of(0xca, 0xfe) }, answered, new Outcomes().of('a'))
    const frame = await far.nextFrame()
    // api key 1000, version 0, correlation id 1 (0 was ApiVersions), client id 'test', 258, two bytes
    expect(toHex(frame.bytes)).toBe('03e8 0000 00000001 0004 74657374 00000102 00000002 cafe'.replaceAll(' ', ''))
    connection.close()
  })

  test('has tagged fields in its header, and in that of its answer, where the version is flexible', async () => {
    const { connection, far } = await openInMemory()
    const answer = connection.request(probe, { value: 258 })
    const frame = await far.nextFrame()
    expect(toHex(frame.bytes)).toBe('03e8 0001 00000001 0004 74657374 00 00000102 00 00'.replaceAll(' ', ''))
    // header: one unknown tagged field; body: 7; no tagged fields
    await far.answer(frame, '01 63 02 abcd 00000007 00')
    expect(await answer).toBe(7)
    connection.close()
  })

  test('of a record segment above 4 KiB the memory itself is given to the stream', async () => {
    const written: Uint8Array[] = []
    const dial = memoryDial((stream) => void shakeHands(wirePeer(stream), offered))
    const spying: typeof dial = async (target) => {
      const stream = await dial(target)
      const write = stream.write.bind(stream)
      stream.write = ((chunk: Uint8Array, ...rest: []) => {
        written.push(chunk)
        return write(chunk, ...rest)
      }) as typeof stream.write
      return stream
    }
    const { connection } = await open(undefined, { dial: spying })
    const payload = new Uint8Array(65_536)
    connection.exchange(probe, { value: 1, payload }, answered, new Outcomes().of('a'))
    expect(written.some((chunk) => chunk.buffer === payload.buffer)).toBe(true)
    connection.close()
  })

  test('that cannot be encoded fails alone, from clock.soon, and was never on the wire', async () => {
    const { connection, far } = await openInMemory()
    const outcomes = new Outcomes()
    connection.exchange(probe, { value: UNENCODABLE }, answered, outcomes.of('a'))
    expect(outcomes.told).toEqual([])
    await outcomes.count(1)
    expect(outcomes.told).toEqual(['a: failed INTERNAL, not on the wire'])
    expect(connection.inFlightCount).toBe(0)
    const answer = connection.request(probe, { value: 1 }, { version: 0 })
    await far.answer(await far.nextFrame(), int32(1))
    expect(await answer).toBe(1)
    connection.close()
  })

  test('at a version that is not ours fails alone too', async () => {
    const { connection } = await openInMemory()
    await expect(connection.request(probe, { value: 1 }, { version: 2 })).rejects.toMatchObject({
      code: 'UNSUPPORTED_VERSION',
      broker: 'b:9092',
    })
    expect(connection.state).toEqual({ kind: 'open' })
    connection.close()
  })

  test('of an API that the broker does not offer is rejected by name', async () => {
    const { connection } = await openInMemory()
    await expect(connection.request(initProducerId, {} as never)).rejects.toMatchObject({
      code: 'UNSUPPORTED_VERSION',
      message: expect.stringContaining('does not offer InitProducerId'),
    })
    expect(connection.versionFor(probe)).toBe(1)
    expect(connection.versionFor(probe, 0)).toBe(0)
    connection.close()
  })
})

describe('many requests', () => {
  test('are written before any answer, and answered in their order', async () => {
    await using server = await startWireServer(async (peer) => {
      await shakeHands(peer, offered)
      const frames = await nextFrames(peer, 5)
      expect(frames.map((frame) => frame.correlationId)).toEqual([1, 2, 3, 4, 5])
      for (const frame of frames) await peer.answer(frame, int32(valueIn(frame) * 10))
    })
    const { connection } = await open(server)
    const outcomes = new Outcomes()
    for (const value of [1, 2, 3, 4, 5]) connection.exchange(probe, { value }, answered, outcomes.of(`${value}`))
    expect(connection.inFlightCount).toBe(5)
    await outcomes.count(5)
    expect(outcomes.told).toEqual(['1: answer 10', '2: answer 20', '3: answer 30', '4: answer 40', '5: answer 50'])
    expect(connection.inFlightCount).toBe(0)
    connection.close()
  })

  const answers = Buffer.concat([1, 2, 3, 4].map((id) => probeAnswer(id, id * 10)))
  const told = ['1: answer 10', '2: answer 20', '3: answer 30', '4: answer 40']

  test('get their answers when the stream of answers is cut at any byte', async () => {
    for (let cut = 0; cut <= answers.length; cut++) {
      const { connection, far } = await openInMemory()
      const outcomes = new Outcomes()
      for (const value of [1, 2, 3, 4]) connection.exchange(probe, { value }, answered, outcomes.of(`${value}`))
      await nextFrames(far, 4)
      await far.send(answers.subarray(0, cut))
      await turn()
      expect(outcomes.told, `cut at ${cut}`).toEqual(told.slice(0, Math.floor(cut / 12)))
      await far.send(answers.subarray(cut))
      await outcomes.count(4)
      expect(outcomes.told, `cut at ${cut}`).toEqual(told)
      connection.close()
    }
  })

  test('get their answers when these come byte by byte', async () => {
    await using server = await startWireServer(async (peer) => {
      await shakeHands(peer, offered)
      await nextFrames(peer, 4)
      await peer.sendByteByByte(answers)
    })
    const { connection } = await open(server)
    const outcomes = new Outcomes()
    for (const value of [1, 2, 3, 4]) connection.exchange(probe, { value }, answered, outcomes.of(`${value}`))
    await outcomes.count(4)
    expect(outcomes.told).toEqual(told)
    connection.close()
  })

  test('may be sent from inside an answer', async () => {
    const { connection, far } = await openInMemory()
    const outcomes = new Outcomes()
    const first = outcomes.of('a')
    connection.exchange(probe, { value: 1 }, answered, {
      ...first,
      onAnswer(response, bytes) {
        first.onAnswer(response, bytes)
        connection.exchange(probe, { value: 2 }, answered, outcomes.of('b'))
      },
    })
    await far.answer(await far.nextFrame(), int32(10))
    await far.answer(await far.nextFrame(), int32(20))
    await outcomes.count(2)
    expect(outcomes.told).toEqual(['a: answer 10', 'b: answer 20'])
    connection.close()
  })

  test('correlation ids wrap from 2^31-1 to 0', async () => {
    const seen: number[] = []
    await using server = await startWireServer(async (peer) => {
      seen.push((await shakeHands(peer, offered)).correlationId)
      for (;;) {
        const frame = await peer.nextFrame()
        seen.push(frame.correlationId)
        await peer.answer(frame, int32(1))
      }
    })
    const { connection } = await open(server, { firstCorrelationId: 2_147_483_646 })
    for (const value of [1, 2, 3]) expect(await connection.request(probe, { value }, { version: 0 })).toBe(1)
    expect(seen).toEqual([2_147_483_646, 2_147_483_647, 0, 1])
    connection.close()
  })

  test('a listener that throws is logged and stops nobody', async () => {
    const { connection, far, log } = await openInMemory()
    const outcomes = new Outcomes()
    const torn = (): never => {
      throw new Error('torn')
    }
    connection.exchange(probe, { value: 1 }, answered, { onWritten: torn, onAnswer: torn, onFailed: torn })
    connection.exchange(probe, { value: 2 }, answered, outcomes.of('b'))
    const frames = await nextFrames(far, 2)
    await far.send(Buffer.concat(frames.map((frame) => probeAnswer(frame.correlationId, 7))))
    await outcomes.count(1)
    expect(outcomes.told).toEqual(['b: answer 7'])
    expect(connection.state).toEqual({ kind: 'open' })
    expect(log.at('error').map(({ fields }) => (fields as { err: Error }).err.message)).toEqual(['torn', 'torn'])
    connection.close()
  })
})

describe('what was written', () => {
  test('is told once the kernel has it, and onWritable when the socket is empty again', async () => {
    let resume: () => void = () => {}
    await using server = await startWireServer(async (peer) => {
      await shakeHands(peer, offered)
      peer.stream.pause()
      await new Promise<void>((resolve) => {
        resume = resolve
      })
      const received = peer.nextFrame()
      peer.stream.resume()
      await peer.answer(await received, int32(9))
    })
    const { connection } = await open(server)
    const outcomes = new Outcomes()
    connection.onWritable = () => outcomes.tell(`writable, ${connection.unsentBytes} unsent`)
    // Far more than the kernel takes from a peer that does not read.
    const payload = Buffer.alloc(33_554_432)
    connection.exchange(probe, { value: 1, payload }, answered, outcomes.withWritten('a'))
    await turns(20)
    expect(outcomes.told).toEqual([])
    expect(connection.unsentBytes).toBeGreaterThan(0)
    resume()
    await outcomes.count(3)
    expect(outcomes.told).toEqual(['a: written', 'writable, 0 unsent', 'a: answer 9'])
    connection.close()
  })

  test('what the kernel takes at once makes no one wait', async () => {
    await using server = await startWireServer(async (peer) => void (await shakeHands(peer, offered)))
    const { connection } = await open(server)
    const outcomes = new Outcomes()
    connection.onWritable = () => outcomes.tell('writable')
    connection.exchange(probe, { value: 1 }, answered, outcomes.withWritten('a'))
    expect(connection.unsentBytes).toBe(0)
    await turns(3)
    expect(outcomes.told).toEqual(['a: written'])
    connection.close()
  })
})

describe('requests without an answer (acks 0)', () => {
  test('are over once written', async () => {
    const { connection, far } = await openInMemory()
    const outcomes = new Outcomes()
    connection.exchange(probe, { value: 1 }, unanswered, outcomes.withWritten('a'))
    expect(connection.inFlightCount).toBe(1)
    await outcomes.count(1)
    expect(outcomes.told).toEqual(['a: written'])
    expect(connection.inFlightCount).toBe(0)
    expect(valueIn(await far.nextFrame())).toBe(1)
    connection.close()
    await turns(4)
    expect(outcomes.told).toEqual(['a: written'])
  })

  test('that a broker answers all the same: its answers are thrown away', async () => {
    const { connection, far, log } = await openInMemory()
    const outcomes = new Outcomes()
    for (const value of [1, 2, 3]) connection.exchange(probe, { value }, unanswered, outcomes.withWritten(`${value}`))
    connection.exchange(probe, { value: 4 }, answered, outcomes.of('4'))
    const frames = await nextFrames(far, 4)
    await far.send(Buffer.concat(frames.map((frame) => probeAnswer(frame.correlationId, valueIn(frame)))))
    await outcomes.count(4)
    expect(outcomes.told.at(-1)).toBe('4: answer 4')
    // Again, with nothing awaited.
    await far.answer(frames[1]!, int32(0))
    await turns(3)
    expect(connection.state).toEqual({ kind: 'open' })
    expect(log.at('debug')).toHaveLength(4)
    connection.close()
  })

  test('that are not written yet fail when the connection ends', async () => {
    await using server = await startWireServer(async (peer) => {
      await shakeHands(peer, offered)
      peer.stream.pause()
    })
    const { connection } = await open(server)
    const outcomes = new Outcomes()
    const payload = Buffer.alloc(33_554_432)
    connection.exchange(probe, { value: 1, payload }, unanswered, outcomes.withWritten('a'))
    connection.close()
    await outcomes.count(1)
    expect(outcomes.told).toEqual(['a: failed CONNECTION_CLOSED, may be on the wire'])
  })
})

describe('throttling (KIP-219)', () => {
  const answerOf = async (version: number, throttleTimeMs: number) => {
    const throttles: number[] = []
    let far: WirePeer | undefined
    const dial = memoryDial((stream) => {
      far = wirePeer(stream)
      void shakeHands(far, [
        [18, 0, 4],
        [22, 0, 1],
        [1_000, 0, 1],
      ])
    })
    const opened = await open(undefined, { dial, onThrottle: (ms) => throttles.push(ms) })
    const { connection, clock } = opened
    const request = { transactionalId: null, transactionTimeoutMs: 0, producerId: Long.NEG_ONE, producerEpoch: -1 }
    const answer = connection.request(initProducerId, request, { version })
    // throttle time, error 0, producer id 7, epoch 0
    await far!.answer(await far!.nextFrame(), bytes().int32(throttleTimeMs).int16(0).int64(7n).int16(0))
    await answer
    return { ...opened, far: far!, throttles, sinceNow: connection.throttledUntil - clock.now() }
  }

  test('a broker that asks for it is left alone for that long', async () => {
    const { connection, throttles, sinceNow } = await answerOf(1, 840)
    expect(sinceNow).toBe(840)
    expect(throttles).toEqual([840])
    connection.close()
  })

  test('at older versions the broker has already waited', async () => {
    const { connection, throttles } = await answerOf(0, 840)
    expect(connection.throttledUntil).toBe(0)
    expect(throttles).toEqual([])
    connection.close()
  })

  test('0 is no throttle', async () => {
    const { connection, throttles } = await answerOf(1, 0)
    expect(connection.throttledUntil).toBe(0)
    expect(throttles).toEqual([])
    connection.close()
  })
})

test('lastUsedAt is the last request or answer', async () => {
  const { connection, far, clock } = await openInMemory()
  const openedAt = clock.now()
  expect(connection.lastUsedAt).toBe(openedAt)
  clock.advance(500)
  const answer = connection.request(probe, { value: 1 }, { version: 0 })
  expect(connection.lastUsedAt).toBe(openedAt + 500)
  clock.advance(70)
  await far.answer(await far.nextFrame(), int32(1))
  await answer
  expect(connection.lastUsedAt).toBe(openedAt + 570)
  connection.close()
})

test('a stream that answers from inside write is heard in order', async () => {
  const dial = memoryDial((stream) => void shakeHands(wirePeer(stream), offered))
  let answerAt: (value: number) => void = () => {}
  const { connection } = await open(undefined, {
    dial: async (target) => {
      const stream = await dial(target)
      const write = stream.write.bind(stream)
      answerAt = (value) => {
        stream.write = ((chunk: Uint8Array, callback: () => void) => {
          const correlationId = Buffer.from(chunk).readInt32BE(8)
          stream.emit('data', Buffer.from(probeAnswer(correlationId, value)))
          return write(chunk, callback)
        }) as typeof stream.write
      }
      return stream
    },
  })
  const outcomes = new Outcomes()
  answerAt(5)
  connection.exchange(probe, { value: 1 }, answered, {
    ...outcomes.of('a'),
    onAnswer(response) {
      outcomes.tell(`a: answer ${response}`)
      connection.exchange(probe, { value: 2 }, answered, outcomes.of('b'))
      outcomes.tell('a: done')
    },
  })
  await outcomes.count(3)
  expect(outcomes.told).toEqual(['a: answer 5', 'a: done', 'b: answer 5'])
  connection.close()
})
