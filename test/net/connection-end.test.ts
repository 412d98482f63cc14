// How a connection ends: wrong bytes, the broker hanging up, `close`. And that its exchanges hear of it once, after the stream has
// closed, and not before.
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { kafkaError } from '../../src/errors.ts'
import type { Connection, ConnectionOptions } from '../../src/net/connection.ts'
import { tcpDial } from '../../src/net/dial.ts'
import { memoryDial } from '../support/memory-duplex.ts'
import { answered, Outcomes, offered, open, probe, probeAnswer, turns, unanswered } from '../support/probe.ts'
import {
  type Literal,
  shakeHands,
  startWireServer,
  type WirePeer,
  type WireServer,
  wirePeer,
} from '../support/wire-server.ts'

/** A server that shakes hands, waits for `requests` requests, and then does `what`. */
const serverThat = (what: (peer: WirePeer) => unknown, requests = 1): Promise<WireServer> =>
  startWireServer(async (peer) => {
    await shakeHands(peer, offered)
    for (let count = 0; count < requests; count++) await peer.nextFrame()
    await what(peer)
  })

/** Opens to a server, sends requests 'a', 'b', ..., and waits until the connection has told that it is closed. */
async function ended(
  server: WireServer,
  names: readonly string[],
  overrides: Partial<ConnectionOptions> = {},
): Promise<{ connection: Connection; told: string[]; causes: Error[]; logged: number }> {
  const { connection, log } = await open(server, overrides)
  const outcomes = new Outcomes()
  const closed = new Promise<void>((resolve) => {
    connection.onClosed = (cause) => {
      outcomes.tell(`closed ${cause.code}`)
      outcomes.causes.push(cause)
      resolve()
    }
  })
  for (const [index, name] of names.entries()) connection.exchange(probe, { value: index }, answered, outcomes.of(name))
  await closed
  return { connection, told: outcomes.told, causes: outcomes.causes, logged: log.at('error').length }
}

async function endedBy(literal: Literal, names = ['a'], overrides: Partial<ConnectionOptions> = {}) {
  await using server = await serverThat((peer) => peer.send(literal), names.length)
  return await ended(server, names, overrides)
}

const failedWith = (code: string, ...names: string[]): string[] =>
  names.map((name) => `${name}: failed ${code}, may be on the wire`)

describe('bytes that are not an answer poison the connection', () => {
  test('another correlation id, with the same cause for every waiter, in order, and onClosed last', async () => {
    const { connection, told, causes } = await endedBy(probeAnswer(7, 1), ['a', 'b', 'c'])
    expect(told).toEqual([...failedWith('PROTOCOL_ERROR', 'a', 'b', 'c'), 'closed PROTOCOL_ERROR'])
    expect(new Set(causes).size).toBe(1)
    expect(causes[0]!.message).toBe('b:9092 answered with correlation id 7, where Probe with 1 is next')
    expect(connection.state).toEqual({ kind: 'closed', cause: causes[0] })
  })

  test('the answer to a later request before that to an earlier one', async () => {
    const { told } = await endedBy(probeAnswer(2, 1), ['a', 'b'])
    expect(told).toEqual([...failedWith('PROTOCOL_ERROR', 'a', 'b'), 'closed PROTOCOL_ERROR'])
  })

  test('the same answer twice', async () => {
    const twice = Buffer.concat([probeAnswer(1, 5), probeAnswer(1, 5)])
    const { told } = await endedBy(twice, ['a', 'b'])
    expect(told).toEqual(['a: answer 5', ...failedWith('PROTOCOL_ERROR', 'b'), 'closed PROTOCOL_ERROR'])
  })

  test('an answer when nothing was asked', async () => {
    await using server = await serverThat((peer) => peer.send(probeAnswer(1, 1)), 0)
    const { told, causes } = await ended(server, [])
    expect(told).toEqual(['closed PROTOCOL_ERROR'])
    expect(causes[0]!.message).toBe('b:9092 answered with correlation id 1, where nothing is asked')
  })

  test('nothing behind them in the same chunk is believed', async () => {
    const both = Buffer.concat([probeAnswer(9, 1), probeAnswer(1, 1)])
    expect((await endedBy(both)).told).toEqual([...failedWith('PROTOCOL_ERROR', 'a'), 'closed PROTOCOL_ERROR'])
  })

  test.each([
    ['a body that is too short', '00000007 00000001 abcdef', 'Probe v0 response of 7 bytes'],
    ['a body that goes on', '00000009 00000001 00000005 99', '1 bytes are left over at byte 8'],
    ['a frame without a correlation id', '00000002 0000', 'b:9092: an answer cannot be read'],
    ['a huge size', '7fffffff 00000001', 'announced a frame of 2147483647 bytes'],
    ['a negative size', 'fffffffe 00000001', 'announced a frame of -2 bytes'],
    ['garbage', 'c0ffee00 c0ffee00', 'announced a frame of -1056969216 bytes'],
    ['text after a good start', '48545450 2f312e31', 'announced a frame of 1213486160 bytes'],
  ])('%s', async (_what, literal, message) => {
    const { told, causes } = await endedBy(literal, ['a', 'b'])
    expect(told).toEqual([...failedWith('PROTOCOL_ERROR', 'a', 'b'), 'closed PROTOCOL_ERROR'])
    expect(causes[0]!.message).toContain(message)
    expect(causes[0]).toMatchObject({ broker: 'b:9092' })
  })

  test('an answer above maxFrameBytes', async () => {
    const { told, causes } = await endedBy('00000029 00000001', ['a'], { maxFrameBytes: 40 })
    expect(told).toEqual([...failedWith('PROTOCOL_ERROR', 'a'), 'closed PROTOCOL_ERROR'])
    expect(causes[0]!.message).toContain('a frame of 41 bytes (00 00 00 29), more than the 40 that are allowed')
  })
})

describe('the broker hangs up', () => {
  test('answers that came together with the end are delivered first', async () => {
    await using server = await serverThat(
      (peer) => void peer.stream.end(Buffer.concat([probeAnswer(1, 5), probeAnswer(2, 6)])),
      3,
    )
    const { told, causes } = await ended(server, ['a', 'b', 'c'])
    expect(told).toEqual([
      'a: answer 5',
      'b: answer 6',
      ...failedWith('CONNECTION_CLOSED', 'c'),
      'closed CONNECTION_CLOSED',
    ])
    expect(causes[0]!.message).toBe('b:9092: the broker closed the connection with 1 request under way')
  })

  test('in the middle of an answer, and the message says so', async () => {
    await using server = await serverThat((peer) => void peer.stream.end(Buffer.from(probeAnswer(1, 5)).subarray(0, 9)))
    const { told, causes } = await ended(server, ['a'])
    expect(told).toEqual([...failedWith('CONNECTION_CLOSED', 'a'), 'closed CONNECTION_CLOSED'])
    expect(causes[0]!.message).toContain('with 1 request under way, in the middle of an answer')
  })

  test('with a reset, whose error is the cause', async () => {
    await using server = await serverThat((peer) => peer.reset(), 2)
    const { told, causes } = await ended(server, ['a', 'b'])
    expect(told).toEqual([...failedWith('CONNECTION_CLOSED', 'a', 'b'), 'closed CONNECTION_CLOSED'])
    expect(causes[0]).toMatchObject({ retriable: true, cause: { code: 'ECONNRESET' } })
    expect(causes[0]!.message).toContain('the connection was lost (ECONNRESET) with 2 requests under way')
  })

  test('at the first request after the handshake: the listener may want SASL', async () => {
    await using server = await serverThat((peer) => peer.end())
    const { causes } = await ended(server, ['a'])
    expect(causes[0]).toMatchObject({ hint: 'The listener may require SASL' })
  })

  test('while nothing is under way, with nothing to fail and no hint', async () => {
    await using server = await serverThat((peer) => peer.end(), 0)
    const { told, causes } = await ended(server, [])
    expect(told).toEqual(['closed CONNECTION_CLOSED'])
    expect(causes[0]).toMatchObject({ hint: undefined })
  })
})

describe('close', () => {
  const silent = (): Promise<WireServer> => serverThat(() => {})

  test('fails what is under way in the close event, not before', async () => {
    await using server = await silent()
    let stream: Duplex | undefined
    const { connection } = await open(server, {
      dial: async (target) => {
        stream = await tcpDial(target)
        return stream
      },
    })
    const outcomes = new Outcomes()
    const cause = kafkaError('CLOSED', 'the producer is closed')
    connection.onClosed = (error) => outcomes.tell(`closed ${error.code}, stream closed: ${stream!.closed}`)
    connection.exchange(probe, { value: 1 }, answered, outcomes.of('a'))
    connection.close(cause)
    expect(outcomes.told).toEqual([])
    expect(connection.state).toEqual({ kind: 'poisoned', cause })
    expect(stream!.destroyed).toBe(true)
    await once(stream!, 'close')
    expect(outcomes.told).toEqual([...failedWith('CLOSED', 'a'), 'closed CLOSED, stream closed: true'])
    expect(outcomes.causes).toEqual([cause])
    expect(connection.state).toEqual({ kind: 'closed', cause })
  })

  test('again, and after the end, changes nothing', async () => {
    await using server = await silent()
    const { connection, clock } = await open(server)
    const outcomes = new Outcomes()
    let closes = 0
    connection.onClosed = () => {
      closes++
    }
    connection.exchange(probe, { value: 1 }, answered, outcomes.of('a'))
    connection.close(kafkaError('CLOSED', 'first'))
    connection.close(kafkaError('CLOSED', 'second'))
    await outcomes.count(1)
    connection.close()
    await turns(3)
    expect(outcomes.causes.map((cause) => cause.message)).toEqual(['first'])
    expect(closes).toBe(1)
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('without a cause says that it was us', async () => {
    await using server = await silent()
    const { connection } = await open(server)
    connection.close()
    expect(connection.state).toMatchObject({
      kind: 'poisoned',
      cause: { code: 'CONNECTION_CLOSED', message: 'b:9092: we closed the connection' },
    })
  })

  test('a request afterwards fails from clock.soon, never on the wire, in both states', async () => {
    await using server = await silent()
    const { connection } = await open(server)
    const outcomes = new Outcomes()
    const closed = new Promise((resolve) => {
      connection.onClosed = resolve
    })
    connection.close()
    connection.exchange(probe, { value: 1 }, answered, outcomes.of('poisoned'))
    expect(outcomes.told).toEqual([])
    await closed
    connection.exchange(probe, { value: 1 }, unanswered, outcomes.withWritten('closed'))
    expect(connection.inFlightCount).toBe(0)
    await outcomes.count(2)
    expect(outcomes.told).toEqual([
      'poisoned: failed CONNECTION_CLOSED, not on the wire',
      'closed: failed CONNECTION_CLOSED, not on the wire',
    ])
    await expect(connection.request(probe, { value: 1 })).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' })
  })

  test('inside an answer: what else is in the chunk is failed, not answered', async () => {
    const both = Buffer.concat([probeAnswer(1, 5), probeAnswer(2, 6)])
    await using server = await serverThat((peer) => peer.send(both), 2)
    const { connection } = await open(server)
    const outcomes = new Outcomes()
    connection.exchange(probe, { value: 1 }, answered, { ...outcomes.of('a'), onAnswer: () => connection.close() })
    connection.exchange(probe, { value: 2 }, answered, outcomes.of('b'))
    await outcomes.count(1)
    expect(outcomes.told).toEqual(failedWith('CONNECTION_CLOSED', 'b'))
  })

  test('what onFailed and onClosed throw is logged, and every other one is told', async () => {
    await using server = await silent()
    const { connection, log } = await open(server)
    const outcomes = new Outcomes()
    const torn = (): never => {
      throw new Error('torn')
    }
    connection.onClosed = torn
    connection.exchange(probe, { value: 1 }, answered, { onAnswer: torn, onFailed: torn })
    connection.exchange(probe, { value: 2 }, answered, outcomes.of('b'))
    connection.close()
    await outcomes.count(1)
    await turns(1)
    expect(log.at('error')).toHaveLength(2)
  })
})

describe('streams of a user', () => {
  async function openOver(prepare: (near: Duplex, far: WirePeer) => void) {
    let near: Duplex | undefined
    let far: WirePeer | undefined
    const dial = memoryDial((stream) => {
      far = wirePeer(stream)
      void shakeHands(far, offered)
    })
    const opened = await open(undefined, {
      dial: async (target) => {
        near = await dial(target)
        return near
      },
    })
    prepare(near!, far!)
    return { ...opened, near: near!, far: far! }
  }

  const ends: [string, (near: Duplex, far: WirePeer) => void][] = [
    ['an error and no close', (near) => void near.emit('error', new Error('torn'))],
    ['a close and no error', (near) => void near.destroy()],
    ['a close event that is not true', (near) => void near.emit('close')],
    ['an end', (_near, far) => far.end()],
    ['a reset', (_near, far) => far.reset()],
    [
      'an error, a close and another error',
      (near) => {
        near.destroy(new Error('torn'))
        near.emit('error', new Error('again'))
      },
    ],
  ]

  test.each(ends)('%s fails each exchange once, when the stream has closed', async (_what, end) => {
    const { connection, near, far } = await openOver(() => {})
    const outcomes = new Outcomes()
    const told = (name: string) => ({
      ...outcomes.of(name),
      onFailed: () => outcomes.tell(`${name}: failed, stream closed: ${near.destroyed && near.closed}`),
    })
    connection.exchange(probe, { value: 1 }, answered, told('a'))
    connection.exchange(probe, { value: 2 }, answered, told('b'))
    await far.nextFrame()
    await far.nextFrame()
    end(near, far)
    await outcomes.count(2)
    await turns(4)
    expect(outcomes.told).toEqual(['a: failed, stream closed: true', 'b: failed, stream closed: true'])
  })

  test('a request on a stream that was destroyed and has not said so was never on the wire', async () => {
    const { connection, near } = await openOver(() => {})
    const outcomes = new Outcomes()
    near.destroy()
    connection.exchange(probe, { value: 1 }, answered, outcomes.withWritten('a'))
    connection.exchange(probe, { value: 2 }, unanswered, outcomes.withWritten('b'))
    expect(outcomes.told).toEqual([])
    await outcomes.count(2)
    expect(outcomes.told.sort()).toEqual([
      'a: failed CONNECTION_CLOSED, not on the wire',
      'b: failed CONNECTION_CLOSED, not on the wire',
    ])
  })

  test('that report success for a write after destroy: the exchange was not written', async () => {
    const callbacks: (() => void)[] = []
    const { connection, near } = await openOver((stream) => {
      stream._writev = (_chunks, callback) => void callbacks.push(callback)
      stream._write = (_chunk, _encoding, callback) => void callbacks.push(callback)
    })
    const outcomes = new Outcomes()
    connection.exchange(probe, { value: 1 }, unanswered, outcomes.withWritten('a'))
    connection.close()
    for (const callback of callbacks) callback()
    await once(near, 'close')
    await turns(2)
    expect(callbacks).toHaveLength(1)
    expect(outcomes.told).toEqual(['a: failed CONNECTION_CLOSED, may be on the wire'])
  })
})

test('an exchange that was answered hears nothing of the end', async () => {
  await using server = await serverThat(async (peer) => {
    await peer.send(probeAnswer(1, 5))
    await peer.gone
  })
  const { connection } = await open(server)
  const outcomes = new Outcomes()
  connection.exchange(probe, { value: 1 }, answered, outcomes.withWritten('a'))
  await outcomes.count(2)
  const closed = new Promise((resolve) => {
    connection.onClosed = resolve
  })
  connection.close()
  await closed
  expect(outcomes.told).toEqual(['a: written', 'a: answer 5'])
})
