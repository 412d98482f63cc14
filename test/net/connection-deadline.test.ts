// Deadlines of one connection, on a clock that moves when the test says so.

import Long from 'long'
import { describe, expect, test } from 'vitest'
import { initProducerId } from '../../src/protocol/messages/init-producer-id.ts'
import { bytes } from '../support/byte-builder.ts'
import { answered, int32, Outcomes, offered, open, probe, probeAnswer, turns, unanswered } from '../support/probe.ts'
import { type ReceivedFrame, shakeHands, startWireServer, type WirePeer } from '../support/wire-server.ts'

/** A server that shakes hands and leaves the rest to the test: `peer` resolves when it has. */
async function silentServer(apis = offered) {
  let resolvePeer: (peer: WirePeer) => void = () => {}
  const peer = new Promise<WirePeer>((resolve) => {
    resolvePeer = resolve
  })
  const server = await startWireServer(async (accepted) => {
    await shakeHands(accepted, apis)
    resolvePeer(accepted)
  })
  return { server, peer }
}

async function frames(peer: WirePeer, count: number): Promise<ReceivedFrame[]> {
  const all: ReceivedFrame[] = []
  while (all.length < count) all.push(await peer.nextFrame())
  return all
}

describe('a broker that does not answer', () => {
  test('costs the connection at the deadline, and everyone waiting has the same cause', async () => {
    const { server, peer } = await silentServer()
    await using _ = server
    const { connection, clock } = await open(server)
    const outcomes = new Outcomes()
    connection.exchange(probe, { value: 1 }, answered, outcomes.of('a'))
    clock.advance(10_000)
    connection.exchange(probe, { value: 2 }, answered, outcomes.of('b'))
    clock.advance(19_999)
    await turns(3)
    expect(outcomes.told).toEqual([])
    clock.advance(1)
    await outcomes.count(2)
    expect(outcomes.told).toEqual([
      'a: failed REQUEST_TIMEOUT, may be on the wire',
      'b: failed REQUEST_TIMEOUT, may be on the wire',
    ])
    expect(outcomes.causes[0]).toBe(outcomes.causes[1])
    expect(outcomes.causes[0]).toMatchObject({
      message: 'b:9092 did not answer Probe v0 within 30000 ms',
      broker: 'b:9092',
      retriable: true,
    })
    await (await peer).gone
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('after half an answer it is no different', async () => {
    const { server, peer } = await silentServer()
    await using _ = server
    const { connection, clock } = await open(server)
    const outcomes = new Outcomes()
    connection.exchange(probe, { value: 1 }, answered, outcomes.of('a'))
    const broker = await peer
    await broker.nextFrame()
    await broker.send(probeAnswer(1, 5).subarray(0, 7))
    await turns(3)
    clock.advance(30_000)
    await outcomes.count(1)
    expect(outcomes.told).toEqual(['a: failed REQUEST_TIMEOUT, may be on the wire'])
  })

  test('an answered request leaves the time of the next one as it is', async () => {
    const { server, peer } = await silentServer()
    await using _ = server
    const { connection, clock } = await open(server)
    const outcomes = new Outcomes()
    connection.exchange(probe, { value: 1 }, answered, outcomes.of('a'))
    clock.advance(20_000)
    connection.exchange(probe, { value: 2 }, answered, outcomes.of('b'))
    const [first] = await frames(await peer, 2)
    await (await peer).answer(first!, int32(5))
    await outcomes.count(1)
    clock.advance(29_999)
    await turns(3)
    expect(outcomes.told).toEqual(['a: answer 5'])
    clock.advance(1)
    await outcomes.count(2)
    expect(outcomes.told[1]).toBe('b: failed REQUEST_TIMEOUT, may be on the wire')
  })

  test('a shorter time behind a longer one is kept', async () => {
    const { server } = await silentServer()
    await using _ = server
    const { connection, clock } = await open(server)
    const outcomes = new Outcomes()
    connection.exchange(probe, { value: 1 }, answered, outcomes.of('a'))
    connection.exchange(probe, { value: 2 }, { ...answered, timeoutMs: 500 }, outcomes.of('b'))
    clock.advance(500)
    await outcomes.count(2)
    expect(outcomes.causes[0]!.message).toBe('b:9092 did not answer Probe v0 within 500 ms')
  })

  test('nor read: a request without an answer that cannot be written has its deadline too', async () => {
    const { server, peer } = await silentServer()
    await using _ = server
    const { connection, clock } = await open(server)
    ;(await peer).stream.pause()
    const outcomes = new Outcomes()
    connection.exchange(probe, { value: 1, payload: Buffer.alloc(33_554_432) }, unanswered, outcomes.withWritten('a'))
    clock.advance(30_000)
    await outcomes.count(1)
    expect(outcomes.told).toEqual(['a: failed REQUEST_TIMEOUT, may be on the wire'])
    expect(outcomes.causes[0]!.message).toBe('b:9092 did not take Probe v0 within 30000 ms')
  })

  test('nothing under way, nothing to time out', async () => {
    const { server, peer } = await silentServer()
    await using _ = server
    const { connection, clock } = await open(server)
    const answer = connection.request(probe, { value: 1 }, { version: 0 })
    await (await peer).answer(await (await peer).nextFrame(), int32(5))
    expect(await answer).toBe(5)
    clock.advance(600_000)
    await turns(3)
    expect(connection.state).toEqual({ kind: 'open' })
    expect(clock.pendingDelaysMs).toEqual([])
    connection.close()
  })
})

describe('a timer that fires late, because the event loop was blocked', () => {
  // Timers run before sockets are read: what stands here happens in one timer callback, and the loop then reads the socket.
  const inTimerPhase = (what: () => void): Promise<void> =>
    new Promise((resolve) => {
      setTimeout(() => {
        what()
        resolve()
      }, 0)
    })

  test('finds the answer that is already in the socket', async () => {
    const { server, peer } = await silentServer()
    await using _ = server
    const { connection, clock } = await open(server)
    const outcomes = new Outcomes()
    connection.exchange(probe, { value: 1 }, answered, outcomes.of('a'))
    const broker = await peer
    await broker.nextFrame()
    await inTimerPhase(() => {
      broker.stream.write(probeAnswer(1, 5))
      clock.advanceLate(120_000)
    })
    await outcomes.count(1)
    expect(outcomes.told).toEqual(['a: answer 5'])
    expect(connection.state).toEqual({ kind: 'open' })
    connection.close()
  })

  test('ends the connection when the socket holds the answer to the first of two requests only', async () => {
    const { server, peer } = await silentServer()
    await using _ = server
    const { connection, clock } = await open(server)
    const outcomes = new Outcomes()
    connection.exchange(probe, { value: 1 }, answered, outcomes.of('a'))
    connection.exchange(probe, { value: 2 }, answered, outcomes.of('b'))
    const broker = await peer
    await frames(broker, 2)
    await inTimerPhase(() => {
      broker.stream.write(probeAnswer(1, 5))
      clock.advanceLate(120_000)
    })
    await outcomes.count(2)
    expect(outcomes.told).toEqual(['a: answer 5', 'b: failed REQUEST_TIMEOUT, may be on the wire'])
  })
})

test('the time for which a broker throttles us is added to what is under way', async () => {
  const { server, peer } = await silentServer([...offered, [22, 0, 1]])
  await using _ = server
  const { connection, clock } = await open(server)
  const outcomes = new Outcomes()
  const request = { transactionalId: null, transactionTimeoutMs: 0, producerId: Long.NEG_ONE, producerEpoch: -1 }
  const throttled = connection.request(initProducerId, request)
  connection.exchange(probe, { value: 1 }, answered, outcomes.of('a'))
  const broker = await peer
  const [first] = await frames(broker, 2)
  // throttle time 5000, error 0, producer id 7, epoch 0
  await broker.answer(first!, bytes().int32(5_000).int16(0).int64(7n).int16(0))
  await throttled
  clock.advance(34_999)
  await turns(3)
  expect(outcomes.told).toEqual([])
  clock.advance(1)
  await outcomes.count(1)
  expect(outcomes.told).toEqual(['a: failed REQUEST_TIMEOUT, may be on the wire'])
})
