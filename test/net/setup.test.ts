import type { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { kafkaError } from '../../src/errors.ts'
import type { Dial } from '../../src/net/dial.ts'
import { Setup } from '../../src/net/setup.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { memoryDuplexPair } from '../support/memory-duplex.ts'

const address = { host: 'b', port: 9092 }
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function setUp(dial: Dial = () => new Promise(() => {})) {
  const clock = new FakeClock()
  const outer = new AbortController()
  const setup = new Setup({ brokerName: 'b:9092', setupTimeoutMs: 10_000, clock, dial }, outer.signal)
  return { clock, outer, setup }
}

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => {
      throw new Error('it was resolved')
    },
    (error: unknown) => error,
  )

describe('dial', () => {
  test('gives the stream that was dialed, with host and port as asked', async () => {
    const { near } = memoryDuplexPair()
    const { setup } = setUp(async ({ host, port }) => {
      expect({ host, port }).toEqual(address)
      return near
    })
    expect(await setup.dial(address)).toBe(near)
  })

  test('past the time it fails, naming the phase, and tells dial by its signal', async () => {
    let given: AbortSignal | undefined
    const { clock, setup } = setUp(({ signal }) => {
      given = signal
      return new Promise(() => {})
    })
    const failure = failureOf(setup.dial(address))
    clock.advance(10_000)
    await turn()
    const error = await failure
    expect(error).toMatchObject({
      code: 'CONNECTION_FAILED',
      broker: 'b:9092',
      message: 'b:9092: timed out after 10000 ms, waiting for the connection (DNS or TCP)',
    })
    expect(given?.reason).toBe(error)
  })

  test('a connection that was there when the late timer fired is taken', async () => {
    const { near } = memoryDuplexPair()
    let connected: (stream: Duplex) => void = () => {}
    const { clock, setup } = setUp(
      () =>
        new Promise((resolve) => {
          connected = resolve
        }),
    )
    const dialing = setup.dial(address)
    clock.advanceLate(60_000)
    connected(near)
    const stream = await dialing
    setup.end()
    await turn()
    expect(stream).toBe(near)
    expect(near.destroyed).toBe(false)
  })

  test('a stream that comes too late is destroyed, whatever it says then', async () => {
    const { near } = memoryDuplexPair()
    let connected: (stream: Duplex) => void = () => {}
    const { outer, setup } = setUp(
      () =>
        new Promise((resolve) => {
          connected = resolve
        }),
    )
    const failure = failureOf(setup.dial(address))
    outer.abort()
    await failure
    connected(near)
    await turn()
    expect(near.destroyed).toBe(true)
    near.emit('error', new Error('nobody minds'))
  })

  test('what a dial of the user throws or rejects with becomes a CONNECTION_FAILED with its cause', async () => {
    const torn = new Error('tunnel is down')
    const throwing = setUp(() => {
      throw torn
    })
    const rejecting = setUp(() => Promise.reject(torn))
    for (const { setup } of [throwing, rejecting]) {
      const error = await failureOf(setup.dial(address))
      expect(error).toMatchObject({ code: 'CONNECTION_FAILED', message: 'b:9092: dial failed: tunnel is down' })
      expect((error as Error).cause).toBe(torn)
    }
  })

  test('a KafkaError of dial stays as it is', async () => {
    const cause = kafkaError('DNS_FAILED', 'b: no')
    const { setup } = setUp(() => Promise.reject(cause))
    expect(await failureOf(setup.dial(address))).toBe(cause)
  })

  test.each([undefined, null, {}, 'stream'])(
    'a dial that answers %j is told what it should answer',
    async (nonsense) => {
      const { setup } = setUp(async () => nonsense as unknown as Duplex)
      expect(await failureOf(setup.dial(address))).toMatchObject({
        code: 'CONNECTION_FAILED',
        message: 'b:9092: dial failed: dial answered something that is not a Duplex stream',
      })
    },
  )
})

describe('handshake', () => {
  test('past the time it fails at once, naming the phase, and what is under way is told to stop', async () => {
    const stopped: unknown[] = []
    const { clock, setup } = setUp()
    const failure = failureOf(setup.handshake(new Promise(() => {}), (cause) => stopped.push(cause)))
    clock.advance(10_000)
    await turn()
    const error = await failure
    expect(error).toMatchObject({ message: 'b:9092: timed out after 10000 ms, waiting for the answer to ApiVersions' })
    expect(stopped).toEqual([error])
  })

  test('the time is one for everything', async () => {
    const { near } = memoryDuplexPair()
    const { clock, setup } = setUp(async () => near)
    clock.advance(9_000)
    await setup.dial(address)
    const failure = failureOf(setup.handshake(new Promise(() => {}), () => {}))
    clock.advance(1_000)
    await turn()
    expect(await failure).toMatchObject({ code: 'CONNECTION_FAILED' })
  })
})

describe("the caller's signal", () => {
  test('ends it with its own reason when that is a KafkaError', async () => {
    const { outer, setup } = setUp()
    const failure = failureOf(setup.dial(address))
    const closed = kafkaError('CLOSED', 'the producer is closed')
    outer.abort(closed)
    expect(await failure).toBe(closed)
  })

  test('ends it with CONNECTION_FAILED otherwise', async () => {
    const { outer, setup } = setUp()
    const failure = failureOf(setup.dial(address))
    outer.abort()
    expect(await failure).toMatchObject({
      code: 'CONNECTION_FAILED',
      message: 'b:9092: nobody waits for the connection (DNS or TCP) any more',
      cause: { name: 'AbortError' },
    })
  })

  test('aborted beforehand nothing is dialed', async () => {
    let dialed = 0
    const clock = new FakeClock()
    const dial: Dial = () => {
      dialed++
      return new Promise(() => {})
    }
    const setup = new Setup({ brokerName: 'b:9092', setupTimeoutMs: 10_000, clock, dial }, AbortSignal.abort())
    expect(await failureOf(setup.dial(address))).toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(dialed).toBe(0)
  })
})

test('once over it leaves no timer, and neither time nor signal reach what was set up', async () => {
  const { clock, outer, setup } = setUp()
  const { signal } = setup
  setup.end()
  outer.abort()
  expect(clock.pendingDelaysMs).toEqual([])
  clock.advance(20_000)
  await turn()
  expect(signal.aborted).toBe(false)
})
