import Long from 'long'
import { describe, expect, test } from 'vitest'
import type { KafkaError } from '../../src/errors.ts'
import { BrokerPool } from '../../src/net/broker-pool.ts'
import type { Dial } from '../../src/net/dial.ts'
import type { Lane } from '../../src/net/lane.ts'
import type { NetOptions } from '../../src/net/options.ts'
import { initProducerId } from '../../src/protocol/messages/init-producer-id.ts'
import { bytes } from '../support/byte-builder.ts'
import type { ReceivedFrame, WirePeer } from '../support/wire-server.ts'
import { broker, FakeNetwork } from './fake-network.ts'

// A lane carries whatever it is given; InitProducerId v1 is the shortest: throttle time, error, producer id, epoch.
const REQUEST = { transactionalId: null, transactionTimeoutMs: 0, producerId: Long.NEG_ONE, producerEpoch: -1 }
const V1 = { version: 1, timeoutMs: 30_000, expectsAnswer: true }
const answerBody = (throttleTimeMs = 0) => bytes().int32(throttleTimeMs).int16(0).int64(7n).int16(0)

interface Sent {
  readonly answered: boolean
  readonly error: KafkaError | undefined
  readonly mayBeOnTheWire: boolean | undefined
}

function send(lane: Lane, options = V1): Sent {
  const sent = {
    answered: false,
    error: undefined as KafkaError | undefined,
    mayBeOnTheWire: undefined as boolean | undefined,
  }
  lane.exchange(initProducerId, REQUEST, options, {
    onAnswer: () => {
      sent.answered = true
    },
    onFailed: (error, mayBeOnTheWire) => {
      sent.error = error
      sent.mayBeOnTheWire = mayBeOnTheWire
    },
  })
  return sent
}

interface Stage {
  readonly network: FakeNetwork
  readonly pool: BrokerPool
  readonly lane: Lane
  /** `lane.state.kind` at each call of onLaneChange. */
  readonly changes: string[]
  /** Requests that no one has answered yet. */
  readonly asked: { readonly frame: ReceivedFrame; readonly peer: WirePeer }[]
}

function stage(changes: Partial<NetOptions> = {}): Stage {
  const network = new FakeNetwork()
  const pool = new BrokerPool(network.options(changes))
  const seen: string[] = []
  const asked: Stage['asked'] = []
  pool.onLaneChange = (lane) => seen.push(lane.state.kind)
  const answers = broker((frame, peer) => void asked.push({ frame, peer }))
  network.listen('b1:9092', answers)
  network.listen('moved:9093', answers)
  pool.setBrokers([{ nodeId: 1, host: 'b1', port: 9092, rack: null }])
  return { network, pool, lane: pool.lane(1), changes: seen, asked }
}

async function opened(changes: Partial<NetOptions> = {}): Promise<Stage> {
  const all = stage(changes)
  all.lane.connect()
  await all.network.until(() => all.lane.state.kind === 'open', 'an open lane')
  return all
}

const answerAll = async ({ network, asked }: Stage, throttleTimeMs = 0): Promise<void> => {
  for (const { frame, peer } of asked.splice(0)) await peer.answer(frame, answerBody(throttleTimeMs))
  await network.settle()
}

describe('connecting', () => {
  test('one dial however often it is asked for, and word of it from a later turn', async () => {
    const { network, lane, changes } = stage()
    expect(lane.state.kind).toBe('idle')
    lane.connect()
    lane.connect()
    expect(lane.state.kind).toBe('connecting')
    expect(changes).toEqual([])
    await network.until(() => changes.length > 0)
    lane.connect()
    await network.settle()
    expect(changes).toEqual(['open'])
    expect(network.dials).toEqual(['b1:9092'])
    expect(lane.brokerName).toBe('broker 1 at b1:9092')
    expect(lane.lastError).toBeUndefined()
  })

  test('an IPv6 address is dialled bare and shown in brackets', async () => {
    const { network, pool } = stage()
    network.listen(
      '[2001:db8::1]:9092',
      broker(() => {}),
    )
    pool.setBrokers([{ nodeId: 6, host: '2001:db8::1', port: 9092, rack: null }])
    const lane = pool.lane(6)
    lane.connect()
    await network.until(() => lane.state.kind === 'open')
    expect(network.dials).toEqual(['[2001:db8::1]:9092'])
    expect(lane.brokerName).toBe('broker 6 at [2001:db8::1]:9092')
  })

  test('a failure is told with its cause, and the lane rests', async () => {
    const { network, lane, changes } = stage()
    network.listen('b1:9092', 'refuses')
    lane.connect()
    await network.until(() => changes.length > 0)
    expect(changes).toEqual(['backoff'])
    expect(lane.state).toMatchObject({ kind: 'backoff', until: network.clock.now() + 50 })
    expect(lane.lastError?.code).toBe('CONNECTION_FAILED')
    expect(lane.lastError?.message).toContain('broker 1 at b1:9092')
    expect(lane.lastError?.message).toContain('ECONNREFUSED')
  })

  test('a dead broker that nobody asks for is left alone: no timer, no dial', async () => {
    const { network, lane, changes } = stage()
    network.listen('b1:9092', 'refuses')
    lane.connect()
    await network.until(() => changes.length > 0)
    expect(network.clock.pendingDelaysMs).toEqual([])
    await network.pass(60_000, 10_000)
    expect(network.dials).toHaveLength(1)
  })

  test('connect during a back-off dials when it is over, in intervals that double up to the maximum', async () => {
    const { network, lane, pool } = stage()
    network.listen('b1:9092', 'refuses')
    const dialledAt: number[] = []
    pool.onLaneChange = () => {
      dialledAt.push(network.clock.now())
      lane.connect()
    }
    const start = network.clock.now()
    lane.connect()
    await network.settle()
    for (let ms = 0; ms < 4_600; ms += 50) await network.pass(50)
    const intervals = dialledAt.map((at, index) => at - (dialledAt[index - 1] ?? start))
    expect(intervals).toEqual([0, 50, 100, 200, 400, 800, 1_000, 1_000, 1_000])
  }, 20_000)

  test('the back-off begins anew only after a whole handshake: an accepted TCP connection is no success', async () => {
    const { network, lane, changes } = stage()
    const untilOf = () => (lane.state.kind === 'backoff' ? lane.state.until - network.clock.now() : Number.NaN)
    network.listen('b1:9092', async (peer) => peer.reset())
    const delays: number[] = []
    for (let attempt = 0; attempt < 3; attempt++) {
      lane.connect()
      await network.until(() => changes.length > attempt)
      delays.push(untilOf())
      await network.pass(delays.at(-1)!)
    }
    expect(delays).toEqual([50, 100, 200])

    network.listen(
      'b1:9092',
      broker(() => {}),
    )
    lane.connect()
    await network.until(() => lane.state.kind === 'open')
    network.drop('b1:9092')
    await network.until(() => lane.state.kind === 'backoff')
    expect(untilOf()).toBe(50)
  })

  test('a silent address is given up after the setup timeout, which doubles with each failure up to its maximum', async () => {
    const { network, lane } = stage()
    network.listen('b1:9092', 'is silent')
    for (const timeoutMs of [10_000, 20_000, 30_000, 30_000]) {
      lane.connect()
      await network.pass(timeoutMs - 1)
      expect(lane.state.kind).toBe('connecting')
      await network.pass(1)
      expect(lane.state.kind).toBe('backoff')
      expect(lane.lastError?.message).toContain(`timed out after ${timeoutMs} ms`)
      await network.pass(1_000)
    }
  })

  test('no timer of a lane keeps the process alive', async () => {
    const { network, lane, changes } = stage()
    network.listen('b1:9092', 'refuses')
    lane.connect()
    await network.until(() => changes.length > 0)
    lane.connect()
    expect(network.clock.pendingDelaysMs).toEqual([50])
    expect(network.clock.keepAliveCount).toBe(0)
    network.listen(
      'b1:9092',
      broker(() => {}),
    )
    await network.pass(50)
    await network.until(() => lane.state.kind === 'open')
    expect(network.clock.pendingDelaysMs).toContain(540_000)
    expect(network.clock.keepAliveCount).toBe(0)
  })
})

describe('sending', () => {
  test('canSend: open, and fewer out than allowed', async () => {
    const all = await opened()
    const { network, lane } = all
    const now = network.clock.now()
    expect(lane.canSend(now, 2)).toBe(true)
    send(lane)
    await network.until(() => lane.unsentBytes === 0)
    expect(lane.canSend(now, 2)).toBe(true)
    const second = send(lane)
    await network.until(() => all.asked.length === 2)
    expect(lane.flyingCount).toBe(2)
    expect(lane.canSend(now, 2)).toBe(false)
    expect(lane.canSend(now, 3)).toBe(true)
    await answerAll(all)
    expect(second.answered).toBe(true)
    expect(lane.flyingCount).toBe(0)
    expect(lane.canSend(now, 1)).toBe(true)
  })

  test('not while the socket holds bytes it has not taken; a change is told when it has', async () => {
    const { network, lane, changes } = await opened()
    changes.length = 0
    send(lane)
    expect(lane.unsentBytes).toBeGreaterThan(0)
    expect(lane.canSend(network.clock.now(), 5)).toBe(false)
    await network.until(() => changes.length > 0)
    expect(lane.canSend(network.clock.now(), 5)).toBe(true)
  })

  test('versionFor is what this broker and we have in common, and nothing while there is no connection', async () => {
    const { network, lane } = stage()
    expect(() => lane.versionFor(initProducerId)).toThrow('broker 1 at b1:9092')
    lane.connect()
    await network.until(() => lane.state.kind === 'open')
    expect(lane.versionFor(initProducerId)).toBe(5)
    expect(lane.versionFor(initProducerId, 3)).toBe(3)
  })

  test('within onAnswer the answered request no longer counts', async () => {
    const all = await opened()
    const { lane, network } = all
    let count = -1
    lane.exchange(initProducerId, REQUEST, V1, {
      onAnswer: () => {
        count = lane.flyingCount
      },
      onFailed: () => {},
    })
    await network.until(() => all.asked.length === 1)
    await answerAll(all)
    expect(count).toBe(0)
  })

  test('a request without an answer is out until it is written', async () => {
    const { network, lane } = await opened()
    send(lane, { ...V1, expectsAnswer: false })
    expect(lane.flyingCount).toBe(1)
    await network.until(() => lane.flyingCount === 0)
  })

  test('on a lane that is not open the exchange fails from a later turn, and nothing was on the wire', async () => {
    const { network, lane } = stage()
    const sent = send(lane)
    expect(sent.error).toBeUndefined()
    await network.until(() => sent.error !== undefined)
    expect(sent.error?.code).toBe('CONNECTION_CLOSED')
    expect(sent.mayBeOnTheWire).toBe(false)
  })

  test('a lost connection fails what is out first, then says so; the next attempt waits', async () => {
    const all = await opened()
    const { network, pool, lane, asked } = all
    const sent = [send(lane), send(lane)]
    await network.until(() => asked.length === 2)
    let failedBefore = 0
    pool.onLaneChange = () => {
      failedBefore = sent.filter(({ error }) => error !== undefined).length
    }
    network.drop('b1:9092')
    await network.until(() => lane.state.kind === 'backoff')
    expect(failedBefore).toBe(2)
    expect(sent.map(({ mayBeOnTheWire }) => mayBeOnTheWire)).toEqual([true, true])
    expect(lane.flyingCount).toBe(0)
    expect(lane.lastError?.code).toBe('CONNECTION_CLOSED')
  })

  test('a throttled lane may not send until the time is over, and then says so', async () => {
    const all = await opened()
    const { network, lane, changes } = all
    send(lane)
    await network.until(() => all.asked.length === 1)
    await answerAll(all, 500)
    changes.length = 0
    expect(lane.throttledUntil).toBe(network.clock.now() + 500)
    expect(lane.canSend(network.clock.now(), 5)).toBe(false)
    await network.pass(499)
    expect(lane.canSend(network.clock.now(), 5)).toBe(false)
    expect(changes).toEqual([])
    await network.pass(1)
    expect(changes).toEqual(['open'])
    expect(lane.canSend(network.clock.now(), 5)).toBe(true)
  })
})

describe('an idle connection', () => {
  test('is closed after connectionsMaxIdleMs, which is no failure: the next attempt need not wait', async () => {
    const { network, lane, changes } = await opened({ connectionsMaxIdleMs: 5_000 })
    changes.length = 0
    await network.pass(4_999)
    expect(lane.state.kind).toBe('open')
    await network.pass(1)
    expect(lane.state.kind).toBe('idle')
    expect(changes).toEqual(['idle'])
    await network.until(() => network.openCount('b1:9092') === 0)
    expect(network.clock.pendingDelaysMs).toEqual([])
    lane.connect()
    await network.until(() => lane.state.kind === 'open')
    expect(network.dials).toHaveLength(2)
  })

  test('counts from the last request or answer, and never closes on one that is out', async () => {
    const all = await opened({ connectionsMaxIdleMs: 5_000 })
    const { network, lane } = all
    await network.pass(3_000)
    send(lane)
    await network.pass(12_000)
    expect(lane.state.kind).toBe('open')
    await answerAll(all)
    await network.pass(4_999)
    expect(lane.state.kind).toBe('open')
    await network.pass(5_000)
    expect(lane.state.kind).toBe('idle')
  })
})

describe('a node that moves', () => {
  const MOVED = [{ nodeId: 1, host: 'moved', port: 9093, rack: null }]

  test('with nothing out, the old connection closes at once and the next one goes to the new place', async () => {
    const { network, pool, lane } = await opened()
    pool.setBrokers(MOVED)
    expect(lane.state.kind).toBe('idle')
    expect(lane.brokerName).toBe('broker 1 at moved:9093')
    await network.until(() => network.openCount('b1:9092') === 0)
    lane.connect()
    await network.until(() => lane.state.kind === 'open')
    expect(network.dials).toEqual(['b1:9092', 'moved:9093'])
  })

  test('with requests out, nothing new is sent until they are answered on the old connection', async () => {
    const all = await opened()
    const { network, pool, lane, changes } = all
    const sent = [send(lane), send(lane)]
    await network.until(() => all.asked.length === 2)
    changes.length = 0
    pool.setBrokers(MOVED)
    expect(lane.canSend(network.clock.now(), 5)).toBe(false)
    lane.connect()
    await network.settle()
    expect(network.dials).toEqual(['b1:9092'])
    expect(changes).toEqual([])
    await answerAll(all)
    expect(sent.map(({ answered }) => answered)).toEqual([true, true])
    expect(changes).toEqual(['idle'])
    expect(network.openCount('b1:9092')).toBe(0)
    lane.connect()
    await network.until(() => lane.state.kind === 'open')
    expect(network.dials).toEqual(['b1:9092', 'moved:9093'])
  })

  test('an answer that comes before its write callback does not free the connection: the stream still reads the request', async () => {
    const network = new FakeNetwork()
    const held: (() => void)[] = []
    let isHolding = false
    // A stream that takes its time to say that it has read what it was given.
    const dial: Dial = async (target) => {
      const stream = await network.dial(target)
      const write = stream._write.bind(stream)
      const hold = (callback: (error?: Error | null) => void) => () =>
        void (isHolding ? held.push(callback) : callback())
      return Object.assign(stream, {
        _writev: null,
        _write: (chunk: unknown, encoding: BufferEncoding, callback: (error?: Error | null) => void) =>
          write(chunk, encoding, hold(callback)),
      })
    }
    const pool = new BrokerPool(network.options({ dial }))
    network.listen(
      'b1:9092',
      broker((frame, peer) => peer.answer(frame, answerBody())),
    )
    pool.setBrokers([{ nodeId: 1, host: 'b1', port: 9092, rack: null }])
    const lane = pool.lane(1)
    lane.connect()
    await network.until(() => lane.state.kind === 'open')
    isHolding = true
    const sent = send(lane)
    await network.until(() => sent.answered)
    pool.setBrokers(MOVED)
    expect(lane.flyingCount).toBe(0)
    expect(lane.state.kind).toBe('open')
    isHolding = false
    for (const callback of held.splice(0)) callback()
    await network.until(() => lane.state.kind === 'idle')
  })

  test('and back before its answers are in keeps the connection it has', async () => {
    const all = await opened()
    const { network, pool, lane } = all
    send(lane)
    await network.until(() => all.asked.length === 1)
    pool.setBrokers(MOVED)
    pool.setBrokers([{ nodeId: 1, host: 'b1', port: 9092, rack: null }])
    expect(lane.canSend(network.clock.now(), 5)).toBe(true)
    await answerAll(all)
    expect(lane.state.kind).toBe('open')
    expect(network.dials).toEqual(['b1:9092'])
  })

  test('while it is being dialled is dialled at the new place', async () => {
    const { network, pool, lane } = stage()
    network.listen('b1:9092', 'is silent')
    lane.connect()
    await network.settle()
    pool.setBrokers(MOVED)
    await network.until(() => lane.state.kind === 'open')
    expect(network.dials).toEqual(['b1:9092', 'moved:9093'])
    expect(lane.lastError).toBeUndefined()
  })

  test('while it is in back-off, and wanted, is dialled at the new place at once', async () => {
    const { network, pool, lane, changes } = stage()
    network.listen('b1:9092', 'refuses')
    lane.connect()
    await network.until(() => changes.length > 0)
    lane.connect()
    pool.setBrokers(MOVED)
    await network.until(() => lane.state.kind === 'open')
    expect(network.dials).toEqual(['b1:9092', 'moved:9093'])
  })
})

describe('a node that is gone', () => {
  test('keeps its lane, which says so when it is asked to connect, ever less often', async () => {
    const { network, pool, lane, changes } = await opened()
    pool.setBrokers([{ nodeId: 2, host: 'b2', port: 9092, rack: null }])
    expect(pool.lane(1)).toBe(lane)
    changes.length = 0
    const delays: number[] = []
    for (let attempt = 0; attempt < 3; attempt++) {
      await network.pass(1_000)
      changes.length = 0
      lane.connect()
      expect(changes).toEqual([])
      if (lane.state.kind === 'backoff') delays.push(lane.state.until - network.clock.now())
      await network.until(() => changes.length > 0)
    }
    expect(delays).toEqual([50, 100, 200])
    expect(lane.lastError?.message).toBe('broker 1 is not among the brokers of the cluster now')
    expect(network.dials).toEqual(['b1:9092'])
  })

  test('and comes back is dialled again', async () => {
    const { network, pool, lane } = stage()
    pool.setBrokers([])
    lane.connect()
    await network.settle()
    pool.setBrokers([{ nodeId: 1, host: 'b1', port: 9092, rack: null }])
    lane.connect()
    await network.until(() => lane.state.kind === 'open')
    expect(lane.lastError).toBeUndefined()
  })
})
