import Long from 'long'
import { describe, expect, test } from 'vitest'
import type { KafkaError } from '../../src/errors.ts'
import { BrokerPool } from '../../src/net/broker-pool.ts'
import type { Dial } from '../../src/net/dial.ts'
import type { NetOptions } from '../../src/net/options.ts'
import { initProducerId } from '../../src/protocol/messages/init-producer-id.ts'
import { bytes } from '../support/byte-builder.ts'
import type { ReceivedFrame, WirePeer } from '../support/wire-server.ts'
import { broker, FakeNetwork } from './fake-network.ts'

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

describe('advertised addresses', () => {
  const ADVERTISED = [{ nodeId: 1, host: 'kafka', port: 9092, rack: null }]

  test('that lead nowhere although bootstrap answered are explained, with what to do', async () => {
    const { network, pool } = stage({ bootstrapServers: [{ host: 'localhost', port: 9092 }] })
    network.listen('localhost:9092', answering(7n))
    network.listen('kafka:9092', 'has no name')
    await ask(pool)
    pool.setBrokers(ADVERTISED)
    const lane = pool.lane(1)
    lane.connect()
    await network.until(() => lane.state.kind === 'backoff')
    expect(lane.lastError?.message).toMatch(
      /^Bootstrap localhost:9092 answered, but the cluster advertises broker 1 as kafka:9092, which cannot be reached from here: .*ENOTFOUND.*\. Set advertised\.listeners for this network, or use brokerAddressMapper$/,
    )
    expect(lane.lastError?.hint).toContain('brokerAddressMapper')
    expect(network.said.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
      lane.lastError?.message,
    ])
  })

  test('are not blamed once one of them has answered', async () => {
    const { network, pool } = stage({ bootstrapServers: [{ host: 'localhost', port: 9092 }] })
    network.listen('localhost:9092', answering(7n))
    network.listen('b1:9092', answering(1n))
    await ask(pool)
    pool.setBrokers(KNOWN)
    pool.lane(1).connect()
    await network.until(() => pool.lane(1).state.kind === 'open')
    const lane = pool.lane(2)
    lane.connect()
    await network.until(() => lane.state.kind === 'backoff')
    expect(lane.lastError?.message).not.toContain('Bootstrap')
    expect(lane.lastError?.message).toContain('broker 2 at b2:9092')
  })

  test('go through brokerAddressMapper, for lanes and for control', async () => {
    const { network, pool } = stage({
      brokerAddressMapper: (host, port, nodeId) => ({ host: `${host}.tunnel`, port: port + nodeId }),
    })
    network.listen('b1.tunnel:9093', answering(1n))
    pool.setBrokers(KNOWN)
    const lane = pool.lane(1)
    lane.connect()
    await network.until(() => lane.state.kind === 'open')
    expect(lane.brokerName).toBe('broker 1 at b1.tunnel:9093')
    expect(await ask(pool)).toBe('1')
    expect(network.dials).toEqual(['b1.tunnel:9093', 'b1.tunnel:9093'])
    expect(pool.brokers).toEqual(KNOWN)
  })

  test('are used as they are when the mapper throws or answers nonsense, and the log says so', async () => {
    const answers: unknown[] = [undefined, { host: '', port: 1 }, { host: 'x', port: '9092' }, { host: 'x', port: 0 }]
    for (const answer of answers) {
      const { network, pool } = stage({ brokerAddressMapper: () => answer as { host: string; port: number } })
      pool.setBrokers(KNOWN)
      expect(pool.lane(1).brokerName).toBe('broker 1 at b1:9092')
      expect(network.said.some(({ level }) => level === 'error')).toBe(true)
    }
    const { network, pool } = stage({
      brokerAddressMapper: () => {
        throw new Error('no tunnel')
      },
    })
    pool.setBrokers(KNOWN)
    expect(pool.lane(1).brokerName).toBe('broker 1 at b1:9092')
    expect(network.said.map(({ message }) => message)).toContain(
      'brokerAddressMapper threw: the advertised address is used',
    )
  })
})

describe('what is known of the brokers', () => {
  test('setBrokers says whether one came, went or moved; addBrokers keeps the others', () => {
    const { pool } = stage()
    expect(pool.setBrokers(KNOWN)).toBe(true)
    expect(pool.setBrokers(KNOWN.map((known) => ({ ...known })))).toBe(false)
    expect(pool.setBrokers([KNOWN[0]!])).toBe(true)
    expect(pool.addBrokers([{ nodeId: 3, host: 'b3', port: 9092, rack: null }])).toBe(true)
    expect(pool.brokers.map(({ nodeId }) => nodeId)).toEqual([1, 3])
    expect(pool.addBrokers([{ nodeId: 3, host: 'b3', port: 9093, rack: null }])).toBe(true)
    expect(pool.lane(3).brokerName).toBe('broker 3 at b3:9093')
  })

  test('reachableCount leaves out those that failed at the last attempt', async () => {
    const { network, pool } = stage()
    network.listen('b1:9092', answering(1n))
    pool.setBrokers(KNOWN)
    expect(pool.reachableCount).toBe(2)
    for (const nodeId of [1, 2]) pool.lane(nodeId).connect()
    await network.settle()
    expect(pool.reachableCount).toBe(1)
  })

  test('a listener that throws is logged and stops nothing', async () => {
    const { network, pool } = stage()
    network.listen('b1:9092', answering(1n))
    pool.onLaneChange = () => {
      throw new Error('a fault in the sender')
    }
    pool.setBrokers(KNOWN)
    pool.lane(1).connect()
    await network.until(() => pool.lane(1).state.kind === 'open')
    expect(network.said).toContainEqual({ level: 'error', message: 'a listener of the broker pool threw' })
  })

  test('hold keeps the process alive until each holder lets go, and letting go twice counts once', () => {
    const { network, pool } = stage()
    const one = pool.hold()
    const two = pool.hold()
    expect(network.clock.keepAliveCount).toBe(1)
    one()
    one()
    expect(network.clock.keepAliveCount).toBe(1)
    two()
    expect(network.clock.keepAliveCount).toBe(0)
    expect(network.clock.pendingDelaysMs).toEqual([])
  })
})

describe('close', () => {
  test('leaves no socket, no timer and nobody waiting, and is told so when it is so', async () => {
    const { network, pool } = stage()
    const asked: { frame: ReceivedFrame; peer: WirePeer }[] = []
    network.listen('b1:9092', silent(asked))
    network.listen('b2:9092', 'is silent')
    pool.setBrokers(KNOWN)
    pool.lane(1).connect()
    pool.lane(2).connect()
    const control = failure(ask(pool))
    await network.until(() => asked.length === 1 && pool.lane(1).state.kind === 'open')
    const closed = pool.close()
    expect((await control).code).toBe('CLOSED')
    await closed
    expect([pool.lane(1).state.kind, pool.lane(2).state.kind]).toEqual(['closed', 'closed'])
    expect(network.clock.pendingDelaysMs).toEqual([])
    await network.until(() => network.openCount('b1:9092') === 0)
  })

  test('during the very first attempt ends the attempt', async () => {
    const { network, pool } = stage()
    network.listen('a:9092', 'is silent')
    const control = failure(ask(pool))
    await network.settle()
    await pool.close()
    expect((await control).code).toBe('CLOSED')
    expect(network.clock.pendingDelaysMs).toEqual([])
    await network.settle()
    expect(network.dials).toEqual(['a:9092'])
  })

  test('during a back-off, too', async () => {
    const { network, pool } = stage()
    await failure(ask(pool))
    const control = failure(ask(pool))
    pool.setBrokers(KNOWN)
    pool.lane(1).connect()
    await network.settle()
    pool.lane(1).connect()
    await pool.close()
    expect((await control).code).toBe('CLOSED')
    expect(network.clock.pendingDelaysMs).toEqual([])
  })

  test('twice is once; afterwards everything is refused', async () => {
    const { network, pool } = stage()
    expect(pool.close()).toBe(pool.close())
    await pool.close()
    expect((await failure(ask(pool))).code).toBe('CLOSED')
    const lane = pool.lane(9)
    lane.connect()
    pool.setBrokers([{ nodeId: 9, host: 'b9', port: 9092, rack: null }])
    lane.connect()
    pool.rebootstrap()
    await network.settle()
    expect(lane.state.kind).toBe('closed')
    expect(network.dials).toEqual([])
  })

  test('waits 3 s, no longer, for a stream that does not close when it is destroyed', async () => {
    const network = new FakeNetwork()
    network.listen('a:9092', answering(7n))
    const dial: Dial = async (target) => Object.assign(await network.dial(target), { _destroy: () => {} })
    const pool = new BrokerPool(network.options({ bootstrapServers: [SEEDS[0]!], dial }))
    await ask(pool)
    let isClosed = false
    void pool.close().then(() => {
      isClosed = true
    })
    await network.pass(2_999)
    expect(isClosed).toBe(false)
    await network.pass(1)
    expect(isClosed).toBe(true)
  })
})
