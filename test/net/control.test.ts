import Long from 'long'
import { describe, expect, test } from 'vitest'
import type { KafkaError } from '../../src/errors.ts'
import { BrokerPool } from '../../src/net/broker-pool.ts'
import type { NetOptions } from '../../src/net/options.ts'
import { initProducerId } from '../../src/protocol/messages/init-producer-id.ts'
import { bytes } from '../support/byte-builder.ts'
import type { ReceivedFrame, WirePeer } from '../support/wire-server.ts'
import { APIS, broker, FakeNetwork, INIT_PRODUCER_ID } from './fake-network.ts'

const REQUEST = { transactionalId: null, transactionTimeoutMs: 0, producerId: Long.NEG_ONE, producerEpoch: -1 }
// InitProducerId v5: tags of the header, throttle time, error, producer id, epoch, tags.
const answerBody = (producerId: bigint, throttleTimeMs = 0) =>
  bytes().noTags().int32(throttleTimeMs).int16(0).int64(producerId).int16(0).noTags()

const answering = (producerId: bigint, throttleTimeMs = 0) =>
  broker((frame, peer) => peer.answer(frame, answerBody(producerId, throttleTimeMs)))
const silent = (asked: { frame: ReceivedFrame; peer: WirePeer }[] = []) =>
  broker((frame, peer) => void asked.push({ frame, peer }))

const SEEDS = [
  { host: 'a', port: 9092 },
  { host: 'b', port: 9092 },
  { host: 'c', port: 9092 },
]
const KNOWN = [
  { nodeId: 1, host: 'b1', port: 9092, rack: null },
  { nodeId: 2, host: 'b2', port: 9092, rack: null },
]
// The first of a list is asked first, and jitter makes each back-off a fifth shorter.
const first = (): number => 0

function stage(changes: Partial<NetOptions> = {}): { network: FakeNetwork; pool: BrokerPool } {
  const network = new FakeNetwork()
  return { network, pool: new BrokerPool(network.options({ bootstrapServers: SEEDS, random: first, ...changes })) }
}

const ask = async (pool: BrokerPool, options = {}): Promise<string> =>
  (await pool.control(initProducerId, REQUEST, options)).producerId.toString()

async function failure(promise: Promise<unknown>): Promise<KafkaError> {
  const nothing = Symbol('nothing')
  const thrown = await promise.then(() => nothing).catch((error: KafkaError) => error)
  if (thrown === nothing) throw new Error('it did not fail')
  return thrown as KafkaError
}

describe('the control connection', () => {
  test('goes to the first bootstrap address that can be used, and serves all requests', async () => {
    const { network, pool } = stage()
    network.listen('a:9092', 'refuses')
    network.listen('b:9092', answering(7n))
    network.listen('c:9092', answering(8n))
    expect(await Promise.all([ask(pool), ask(pool)])).toEqual(['7', '7'])
    expect(await ask(pool)).toBe('7')
    expect(network.dials).toEqual(['a:9092', 'b:9092'])
  })

  test('begins at a random one, so that not every producer asks the same broker', async () => {
    const { network, pool } = stage({ random: () => 0.4 })
    network.listen('b:9092', answering(7n))
    await ask(pool)
    expect(network.dials).toEqual(['b:9092'])
  })

  test('does not wait for a silent address alone: after a second the next one is tried beside it', async () => {
    const { network, pool } = stage()
    network.listen('a:9092', 'is silent')
    network.listen('b:9092', 'is silent')
    network.listen('c:9092', answering(7n))
    const asked = ask(pool)
    await network.pass(999)
    expect(network.dials).toEqual(['a:9092'])
    await network.pass(1)
    expect(network.dials).toEqual(['a:9092', 'b:9092'])
    await network.pass(1_000)
    expect(await asked).toBe('7')
    await network.settle()
    // The losers were called back, and took their timers with them.
    expect(network.clock.keepAliveCount).toBe(0)
    expect(Math.max(...network.clock.pendingDelaysMs)).toBe(540_000)
  })

  test('carries no Produce, and a lane carries nothing else: the broker sees two connections', async () => {
    const { network, pool } = stage()
    const keys: number[][] = []
    network.listen('b1:9092', async (peer) => {
      const own: number[] = []
      keys.push(own)
      await broker((frame) => {
        own.push(frame.apiKey)
        return frame.apiKey === INIT_PRODUCER_ID ? peer.answer(frame, answerBody(7n)) : undefined
      })(peer)
    })
    pool.setBrokers(KNOWN)
    const lane = pool.lane(1)
    lane.connect()
    await network.until(() => lane.state.kind === 'open')
    expect(await ask(pool)).toBe('7')
    expect(network.openCount('b1:9092')).toBe(2)
    expect(keys).toEqual([[], [INIT_PRODUCER_ID]])
  })

  test('prefers known brokers to bootstrap addresses', async () => {
    const { network, pool } = stage()
    network.listen('a:9092', answering(7n))
    network.listen('b2:9092', answering(2n))
    pool.setBrokers(KNOWN)
    expect(await ask(pool)).toBe('2')
    expect(network.dials).toEqual(['b1:9092', 'b2:9092'])
  })

  test('goes back to the bootstrap addresses when no known broker can be reached (KIP-899)', async () => {
    const { network, pool } = stage()
    network.listen('a:9092', answering(7n))
    pool.setBrokers(KNOWN)
    expect(await ask(pool)).toBe('7')
    expect(network.dials).toEqual(['b1:9092', 'b2:9092', 'a:9092'])
  })

  test("does not when metadataRecoveryStrategy is 'none'", async () => {
    const { network, pool } = stage({ metadataRecoveryStrategy: 'none' })
    network.listen('a:9092', answering(7n))
    pool.setBrokers(KNOWN)
    const error = await failure(ask(pool))
    expect(error.code).toBe('BOOTSTRAP_FAILED')
    expect(error.message).toContain('None of the 2 broker addresses can be used')
    expect(network.dials).toEqual(['b1:9092', 'b2:9092'])
  })

  test('a lost one fails what was on the wire, and the next request goes to another broker', async () => {
    const { network, pool } = stage()
    const asked: { frame: ReceivedFrame; peer: WirePeer }[] = []
    network.listen('b1:9092', silent(asked))
    network.listen('b2:9092', answering(2n))
    pool.setBrokers(KNOWN)
    const failed = failure(ask(pool))
    await network.until(() => asked.length === 1)
    network.drop('b1:9092')
    expect((await failed).code).toBe('CONNECTION_CLOSED')
    expect(await ask(pool)).toBe('2')
  })

  test('a request of which no byte went out is repeated on a new connection, without a word', async () => {
    const { network, pool } = stage()
    network.listen('a:9092', answering(1n))
    network.listen('b:9092', answering(2n))
    expect(await ask(pool)).toBe('1')
    // The stream knows that it has ended, and nobody else does yet.
    network.streams[0]!.destroy()
    expect(await ask(pool)).toBe('2')
  })

  test('a request that comes while a lost connection closes waits for the next one', async () => {
    const { network, pool } = stage()
    network.listen('a:9092', answering(1n))
    network.listen('b:9092', answering(2n))
    expect(await ask(pool)).toBe('1')
    const asked = new Promise((resolve) => {
      network.streams[0]!.once('error', () => resolve(ask(pool)))
    })
    network.drop('a:9092')
    expect(await asked).toBe('2')
  })

  test('an unanswered request fails after its timeoutMs', async () => {
    const { network, pool } = stage()
    network.listen('a:9092', silent())
    const failed = failure(ask(pool, { timeoutMs: 2_000 }))
    await network.settle()
    await network.pass(2_000)
    expect((await failed).code).toBe('REQUEST_TIMEOUT')
  })

  test('holds requests back while the broker throttles us', async () => {
    const { network, pool } = stage()
    let count = 0
    network.listen(
      'a:9092',
      broker((frame, peer) => peer.answer(frame, answerBody(BigInt(++count), 700))),
    )
    await ask(pool)
    const second = ask(pool)
    await network.pass(699)
    expect(count).toBe(1)
    await network.pass(1)
    expect(await second).toBe('2')
  })

  test('a version that the broker does not speak is said to be so, and harms no other request', async () => {
    const { network, pool } = stage()
    network.listen(
      'a:9092',
      broker(() => {}, APIS.slice(0, 3)),
    )
    const error = await failure(ask(pool))
    expect(error.code).toBe('UNSUPPORTED_VERSION')
    expect(error.message).toContain('InitProducerId')
    expect(network.openCount('a:9092')).toBe(1)
  })

  test('closes when idle for connectionsMaxIdleMs, and opens again when needed', async () => {
    const { network, pool } = stage({ connectionsMaxIdleMs: 5_000 })
    network.listen('a:9092', answering(1n))
    network.listen('b:9092', answering(2n))
    await ask(pool)
    await network.pass(4_999)
    expect(network.openCount('a:9092')).toBe(1)
    await network.pass(1)
    expect(network.openCount('a:9092')).toBe(0)
    expect(network.clock.pendingDelaysMs).toEqual([])
    await ask(pool)
    expect(network.dials).toHaveLength(2)
  })

  test('closes when its broker leaves the cluster', async () => {
    const { network, pool } = stage()
    network.listen('b1:9092', answering(1n))
    network.listen('b2:9092', answering(2n))
    pool.setBrokers(KNOWN)
    expect(await ask(pool)).toBe('1')
    pool.setBrokers([KNOWN[1]!])
    await network.until(() => network.openCount('b1:9092') === 0)
    expect(await ask(pool)).toBe('2')
  })

  test('moveControl: the next request goes to another broker', async () => {
    const { network, pool } = stage()
    network.listen('b1:9092', answering(1n))
    network.listen('b2:9092', answering(2n))
    pool.setBrokers(KNOWN)
    expect(await ask(pool)).toBe('1')
    pool.moveControl()
    expect(await ask(pool)).toBe('2')
    pool.moveControl()
    expect(await ask(pool)).toBe('1')
  })

  test('rebootstrap: known brokers are forgotten, the connection ends, the next begins at the bootstrap addresses', async () => {
    const { network, pool } = stage()
    const asked: { frame: ReceivedFrame; peer: WirePeer }[] = []
    network.listen('b1:9092', silent(asked))
    network.listen('a:9092', answering(7n))
    pool.setBrokers(KNOWN)
    const failed = failure(ask(pool))
    await network.until(() => asked.length === 1)
    pool.rebootstrap()
    expect(pool.brokers).toEqual([])
    expect((await failed).code).toBe('CONNECTION_CLOSED')
    expect(await ask(pool)).toBe('7')
    expect(network.dials).toEqual(['b1:9092', 'a:9092'])
  })

  test('a request to one broker goes over a control connection to that broker', async () => {
    const { network, pool } = stage()
    network.listen('b1:9092', answering(1n))
    network.listen('b2:9092', answering(2n))
    pool.setBrokers(KNOWN)
    expect(await ask(pool, { nodeId: 2 })).toBe('2')
    expect(await ask(pool, { nodeId: 1 })).toBe('1')
    const error = await failure(ask(pool, { nodeId: 3 }))
    expect(error.message).toBe('broker 3 is not among the brokers of the cluster now')
  })

  test('keeps the process alive while somebody waits, unless told not to', async () => {
    const { network, pool } = stage()
    network.listen('a:9092', silent())
    const waited = failure(ask(pool))
    await network.settle()
    expect(network.clock.keepAliveCount).toBe(1)
    await network.pass(30_000)
    await waited
    expect(network.clock.keepAliveCount).toBe(0)

    const background = failure(ask(pool, { keepAlive: false }))
    await network.pass(1_000)
    expect(network.clock.keepAliveCount).toBe(0)
    await pool.close()
    await background
  })
})

describe('nobody can be reached', () => {
  test('BOOTSTRAP_FAILED has one line for each address, with phase and error', async () => {
    const { network, pool } = stage()
    network.listen('a:9092', 'refuses')
    network.listen('b:9092', 'is silent')
    network.listen('c:9092', 'has no name')
    const failed = failure(ask(pool))
    await network.pass(10_000)
    const error = await failed
    expect(error.code).toBe('BOOTSTRAP_FAILED')
    expect(error.retriable).toBe(true)
    const lines = error.message.split('\n')
    expect(lines[0]).toBe('None of the 3 bootstrap servers can be used:')
    expect(lines).toHaveLength(4)
    for (const part of ['a:9092', 'ECONNREFUSED']) expect(lines[1]).toContain(part)
    for (const part of ['c:9092', 'ENOTFOUND']) expect(lines[2]).toContain(part)
    for (const part of ['b:9092', 'timed out after', 'TCP']) expect(lines[3]).toContain(part)
    expect((error.cause as AggregateError).errors).toHaveLength(3)
  })

  test('with one address its error is the message', async () => {
    const { network, pool } = stage({ bootstrapServers: [{ host: '::1', port: 9092 }] })
    const error = await failure(ask(pool))
    expect(network.dials).toEqual(['[::1]:9092'])
    expect(error.message).toMatch(/^The only bootstrap server cannot be used: \[::1\]:9092: .*ECONNREFUSED/)
  })

  test('something that is not Kafka at every address is not worth another attempt', async () => {
    const { network, pool } = stage({ bootstrapServers: [{ host: 'web', port: 80 }] })
    network.listen('web:80', async (peer) => {
      await peer.nextFrame()
      await peer.send(new TextEncoder().encode('HTTP/1.1 400 Bad Request\r\n\r\n'))
    })
    const error = await failure(ask(pool))
    expect(error.retriable).toBe(false)
    expect((error.cause as KafkaError).code).toBe('NOT_KAFKA')
  })

  test('addresses in back-off are waited for when there are no others, and doubled like those of lanes', async () => {
    const { network, pool } = stage({ bootstrapServers: [SEEDS[0]!], random: () => 0.5 })
    const dialledAt: number[] = []
    const start = network.clock.now()
    for (let attempt = 0; attempt < 4; attempt++) {
      const failed = failure(ask(pool))
      for (let step = 0; network.dials.length === attempt; step++) {
        await network.settle()
        if (network.dials.length === attempt) await network.pass(50)
        expect(step).toBeLessThan(20)
      }
      dialledAt.push(network.clock.now() - start)
      await failed
    }
    expect(dialledAt).toEqual([0, 50, 150, 350])
  })

  test('one that was tried a moment ago is not tried again, but named with what it said then', async () => {
    const { network, pool } = stage()
    await failure(ask(pool))
    network.dials.length = 0
    const lane = pool.lane(1)
    network.listen('a:9092', 'refuses')
    await network.pass(50)
    pool.setBrokers([{ nodeId: 1, host: 'a', port: 9092, rack: null }])
    lane.connect()
    await network.settle()
    // 'a' has just failed for the lane, so its back-off began anew; 'b' and 'c' may be tried.
    const error = await failure(ask(pool))
    expect(network.dials).toEqual(['a:9092', 'b:9092', 'c:9092'])
    expect(error.message.split('\n')).toHaveLength(4)
  })
})
