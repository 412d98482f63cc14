import { describe, expect, test } from 'vitest'
import type { KafkaError } from '../../src/errors.ts'
import { BrokerPool } from '../../src/net/broker-pool.ts'
import { Cluster } from '../../src/net/cluster.ts'
import type { NetOptions } from '../../src/net/options.ts'
import type { OfferedApi } from '../support/wire-server.ts'
import { broker, FakeNetwork, METADATA, PRODUCE } from './fake-network.ts'
import { type AskedMetadata, type FakeMetadata, metadataBody, readMetadataRequest } from './metadata-bytes.ts'

const BROKERS = [
  [1, 'b1', 9092],
  [2, 'b2', 9092],
] as const

const UNKNOWN_TOPIC = 3
const LEADER_NOT_AVAILABLE = 5
const INVALID_TOPIC = 17
const NOT_AUTHORIZED = 29
const REBOOTSTRAP_REQUIRED = 129

interface Asked extends AskedMetadata {
  /** Milliseconds after the start. */
  readonly at: number
  readonly where: string
}

/** A cluster behind `seed`, `b1` and `b2`, all of which answer with what `answer` says at the time. */
class Stage {
  readonly network = new FakeNetwork()
  readonly asked: Asked[] = []
  readonly updates: string[][] = []
  readonly failures: KafkaError[] = []
  answer: (asked: AskedMetadata) => FakeMetadata | 'nothing' = () => ({ brokers: BROKERS })
  readonly pool: BrokerPool
  readonly cluster: Cluster
  #startedAt = this.network.clock.now()

  constructor(changes: Partial<NetOptions> = {}, metadataVersion = 13) {
    for (const where of ['seed:9092', 'b1:9092', 'b2:9092']) this.listen(where, metadataVersion)
    const options = this.network.options({ random: () => 0.5, ...changes })
    this.pool = new BrokerPool(options)
    this.cluster = new Cluster(this.pool, options)
    this.cluster.onUpdate = (changed) => this.updates.push([...changed])
    this.cluster.onFailure = (error) => this.failures.push(error)
  }

  listen(where: string, metadataVersion = 13): void {
    const apis: OfferedApi[] = [
      [PRODUCE, 0, 13],
      [METADATA, 0, metadataVersion],
      [18, 0, 4],
    ]
    const answering = broker(async (frame, peer) => {
      const asked = readMetadataRequest(frame)
      this.asked.push({ ...asked, at: this.now, where })
      const answer = this.answer(asked)
      if (answer !== 'nothing') await peer.answer(frame, metadataBody(asked.version, answer))
    }, apis)
    this.network.listen(where, answering)
  }

  get now(): number {
    return this.network.clock.now() - this.#startedAt
  }

  /** Instants of the requests so far. */
  get times(): number[] {
    return this.asked.map(({ at }) => at)
  }

  /** Long enough ago that a refresh need not wait. */
  async connected(): Promise<this> {
    await this.cluster.connect()
    await this.network.pass(1_000)
    this.#startedAt = this.network.clock.now()
    this.asked.length = 0
    this.updates.length = 0
    return this
  }

  async close(): Promise<void> {
    this.cluster.close()
    await this.pool.close()
  }

  leaders(name: string): number[] | undefined {
    return this.cluster.topic(name)?.partitions.map(({ leader }) => leader)
  }
}

async function failure(promise: Promise<unknown>): Promise<KafkaError> {
  const nothing = Symbol('nothing')
  const thrown = await promise.then(() => nothing).catch((error: KafkaError) => error)
  if (thrown === nothing) throw new Error('it did not fail')
  return thrown as KafkaError
}

const ORDERS = { name: 'orders', id: 1, partitions: [{ leader: 1, epoch: 3 }] }

describe('connect', () => {
  test('with nothing tracked asks for the brokers alone', async () => {
    const stage = new Stage()
    expect(stage.cluster.version).toBe(0)
    await stage.cluster.connect()
    expect(stage.asked).toEqual([{ version: 13, names: [], allowAutoTopicCreation: true, at: 0, where: 'seed:9092' }])
    expect(stage.pool.brokers).toEqual([
      { nodeId: 1, host: 'b1', port: 9092, rack: null },
      { nodeId: 2, host: 'b2', port: 9092, rack: null },
    ])
    expect(stage.cluster.clusterId).toBe('a cluster')
    expect(stage.cluster.controllerId).toBe(1)
    expect(stage.cluster.version).toBe(1)
    expect(stage.updates).toEqual([[]])
    expect(stage.cluster.lastSuccessAt).toBe(stage.network.clock.now())
  })

  test('before compact forms too, where an empty list also means none', async () => {
    const stage = new Stage({}, 7)
    await stage.cluster.connect()
    expect(stage.asked[0]).toMatchObject({ version: 7, names: [] })
  })

  test('goes on until a broker can be spoken to where the cluster says it is', async () => {
    const stage = new Stage()
    for (const where of ['b1:9092', 'b2:9092']) stage.network.listen(where, 'refuses')
    let isConnected = false
    const connected = stage.cluster.connect().then(() => {
      isConnected = true
    })
    await stage.network.pass(3_000, 50)
    expect(isConnected).toBe(false)
    expect(stage.cluster.version).toBeGreaterThan(0)
    stage.listen('b2:9092')
    await stage.network.pass(1_200, 50)
    await connected
    expect(stage.pool.lane(2).state.kind).toBe('open')
    await stage.cluster.connect()
  })

  test('says which advertised addresses lead nowhere, one line each, and what to do', async () => {
    const stage = new Stage()
    stage.network.listen('b1:9092', 'has no name')
    stage.network.listen('b2:9092', 'refuses')
    const controller = new AbortController()
    const failed = failure(stage.cluster.connect(controller.signal))
    await stage.network.pass(1_000, 50)
    controller.abort()
    const error = await failed
    expect(error.code).toBe('CONNECTION_FAILED')
    const lines = error.message.split('\n')
    expect(lines[0]).toBe('None of 2 brokers can be reached:')
    expect(lines[1]).toMatch(
      /^ {2}Bootstrap seed:9092 answered, but the cluster advertises broker 1 as b1:9092, which .*ENOTFOUND/,
    )
    expect(lines[2]).toMatch(
      /^ {2}Bootstrap seed:9092 answered, but the cluster advertises broker 2 as b2:9092, which /,
    )
    expect(error.hint).toBe('Set advertised.listeners for this network, or use brokerAddressMapper')
    expect(stage.network.clock.keepAliveCount).toBe(0)
  })

  test('tries three of many brokers at a time, and every one in its turn', async () => {
    const stage = new Stage()
    stage.answer = () => ({ brokers: Array.from({ length: 10 }, (_, id) => [id, `n${id}`, 9092] as const) })
    for (let id = 0; id < 9; id++) stage.network.listen(`n${id}:9092`, 'is silent')
    stage.listen('n9:9092')
    const connected = stage.cluster.connect()
    await stage.network.settle()
    expect(stage.network.dials.slice(1)).toEqual(['n0:9092', 'n1:9092', 'n2:9092'])
    await stage.network.pass(30_000, 1_000)
    await connected
    expect(stage.pool.lane(9).state.kind).toBe('open')
  })

  test('fails with CLOSED when the pool is closed while brokers are tried', async () => {
    const stage = new Stage()
    for (const where of ['b1:9092', 'b2:9092']) stage.network.listen(where, 'is silent')
    const failed = failure(stage.cluster.connect())
    await stage.network.settle()
    await stage.close()
    expect((await failed).code).toBe('CLOSED')
    expect(stage.network.clock.pendingDelaysMs).toEqual([])
  })

  test('after an answer costs nothing', async () => {
    const stage = await new Stage().connected()
    await stage.cluster.connect()
    expect(stage.asked).toEqual([])
  })

  test('tries until the cluster is there, keeping the process alive, and no longer', async () => {
    const stage = new Stage()
    stage.network.listen('seed:9092', 'refuses')
    const connected = stage.cluster.connect()
    await stage.network.pass(2_000, 50)
    expect(stage.failures.length).toBeGreaterThan(2)
    expect(stage.cluster.lastError?.code).toBe('BOOTSTRAP_FAILED')
    expect(stage.network.clock.keepAliveCount).toBe(1)
    stage.listen('seed:9092')
    await stage.network.pass(1_200, 50)
    await connected
    expect(stage.cluster.lastError).toBeUndefined()
    expect(stage.network.clock.keepAliveCount).toBe(0)
  })

  test('ended by its signal says what the last attempt failed with', async () => {
    const stage = new Stage()
    stage.network.listen('seed:9092', 'refuses')
    const controller = new AbortController()
    const failed = failure(stage.cluster.connect(controller.signal))
    await stage.network.pass(500, 50)
    controller.abort()
    expect((await failed).code).toBe('BOOTSTRAP_FAILED')
    expect((await failed).message).toContain('ECONNREFUSED')
    expect(stage.network.clock.keepAliveCount).toBe(0)
    await stage.network.settle()
    const dials = stage.network.dials.length
    await stage.network.pass(5_000, 100)
    // Nobody needs anything any more.
    expect(stage.network.dials.length - dials).toBeLessThanOrEqual(1)
  })

  test('ended before any attempt did says ABORTED, with the reason', async () => {
    const stage = new Stage()
    stage.network.listen('seed:9092', 'is silent')
    const controller = new AbortController()
    const failed = failure(stage.cluster.connect(controller.signal))
    await stage.network.settle()
    const reason = new Error('enough')
    controller.abort(reason)
    expect(await failed).toMatchObject({ code: 'ABORTED', cause: reason })
    expect((await failure(stage.cluster.connect(controller.signal))).code).toBe('ABORTED')
  })

  test('gives up at once where trying again cannot help', async () => {
    const stage = new Stage()
    stage.network.listen('seed:9092', async (peer) => {
      await peer.nextFrame()
      await peer.send(new TextEncoder().encode('HTTP/1.1 400 Bad Request\r\n\r\n'))
    })
    const error = await failure(stage.cluster.connect())
    expect(error).toMatchObject({ code: 'BOOTSTRAP_FAILED', retriable: false })
    expect(error.message).toContain('seed:9092')
  })

  test('fails with CLOSED when the cluster is closed meanwhile, or before', async () => {
    const stage = new Stage()
    stage.network.listen('seed:9092', 'is silent')
    const failed = failure(stage.cluster.connect())
    await stage.network.settle()
    await stage.close()
    expect((await failed).code).toBe('CLOSED')
    expect((await failure(stage.cluster.connect())).code).toBe('CLOSED')
    expect(stage.network.clock.pendingDelaysMs).toEqual([])
  })
})

describe('tracking', () => {
  test('all topics of one turn share one request', async () => {
    const stage = await new Stage().connected()
    stage.answer = () => ({
      brokers: BROKERS,
      topics: [ORDERS, { name: 'clicks', id: 2, partitions: [{ leader: 2 }, { leader: 1 }] }],
    })
    stage.cluster.track('orders')
    stage.cluster.track('clicks')
    stage.cluster.track('orders')
    expect(stage.cluster.topic('orders')).toBeUndefined()
    await stage.network.until(() => stage.updates.length > 0)
    expect(stage.asked.map(({ names }) => names)).toEqual([['orders', 'clicks']])
    expect(stage.updates).toEqual([['orders', 'clicks']])
    expect(stage.leaders('orders')).toEqual([1])
    expect(stage.leaders('clicks')).toEqual([2, 1])
    expect(stage.cluster.topic('orders')).toMatchObject({ name: 'orders', hasTopicId: true, errorCode: 0 })
    expect(stage.cluster.knownTopics()).toEqual(['orders', 'clicks'])
    await stage.network.pass(10_000, 500)
    expect(stage.asked).toHaveLength(1)
  })

  test('a topic that comes while a request is under way is asked for next, alone', async () => {
    const stage = await new Stage().connected()
    stage.answer = ({ names }) => ({
      brokers: BROKERS,
      topics: (names ?? []).map((name) => ({ ...ORDERS, name })),
    })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.asked.length === 1)
    stage.cluster.track('clicks')
    await stage.network.until(() => stage.updates.length === 2)
    expect(stage.asked.map(({ names }) => names)).toEqual([['orders'], ['clicks']])
    expect(stage.times).toEqual([0, 0])
  })

  test('the first request of all is for the topic, not for the brokers first', async () => {
    const stage = new Stage()
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.updates.length > 0)
    expect(stage.asked.map(({ names }) => names)).toEqual([['orders']])
  })

  test('requests say whether topics may be created', async () => {
    for (const allowAutoTopicCreation of [true, false]) {
      const stage = new Stage({ allowAutoTopicCreation })
      stage.cluster.track('orders')
      await stage.network.until(() => stage.asked.length > 0)
      expect(stage.asked[0]?.allowAutoTopicCreation).toBe(allowAutoTopicCreation)
    }
  })

  test('an unknown topic is asked for again and again, ever less often, until it is there', async () => {
    const stage = await new Stage().connected()
    stage.answer = () => ({ brokers: BROKERS, topics: [{ name: 'orders', error: UNKNOWN_TOPIC }] })
    stage.cluster.track('orders')
    await stage.network.pass(4_500, 50)
    expect(stage.times).toEqual([0, 100, 300, 700, 1_500, 2_500, 3_500, 4_500])
    expect(stage.cluster.topicError('orders')?.name).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    // Told once: the same error again is no news.
    expect(stage.updates.filter((changed) => changed.length > 0)).toEqual([['orders']])
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    await stage.network.pass(1_000, 50)
    expect(stage.leaders('orders')).toEqual([1])
    expect(stage.cluster.topicError('orders')).toBeUndefined()
    expect(stage.updates.at(-1)).toEqual(['orders'])
    const count = stage.asked.length
    await stage.network.pass(5_000, 500)
    expect(stage.asked).toHaveLength(count)
  })

  test('each unknown topic has a back-off of its own: a new one is not held up by an old one', async () => {
    const stage = await new Stage().connected()
    stage.answer = () => ({ brokers: BROKERS })
    stage.cluster.track('old')
    await stage.network.pass(3_000, 50)
    stage.asked.length = 0
    stage.cluster.track('new')
    await stage.network.pass(300, 50)
    expect(stage.asked.filter(({ names }) => names?.includes('new')).map(({ at }) => at - 3_000)).toEqual([0, 100, 300])
  })

  test('until it is untracked: then nothing is asked any more', async () => {
    const stage = await new Stage().connected()
    stage.answer = () => ({ brokers: BROKERS, topics: [{ name: 'orders', error: LEADER_NOT_AVAILABLE }] })
    stage.cluster.track('orders')
    await stage.network.pass(300, 50)
    stage.cluster.untrack('orders')
    stage.asked.length = 0
    await stage.network.pass(5_000, 500)
    expect(stage.asked).toEqual([])
    expect(stage.cluster.topicError('orders')).toBeUndefined()
  })

  test('an answer to a topic that is untracked meanwhile is passed over', async () => {
    const stage = await new Stage().connected()
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.asked.length === 1)
    stage.cluster.untrack('orders')
    await stage.network.until(() => stage.updates.length === 1)
    expect(stage.cluster.topic('orders')).toBeUndefined()
    expect(stage.updates).toEqual([[]])
  })

  test.each([
    [NOT_AUTHORIZED, 'TOPIC_AUTHORIZATION_FAILED'],
    [INVALID_TOPIC, 'INVALID_TOPIC_EXCEPTION'],
  ])('error %i is definite: told at once, asked for again only when tracked anew', async (code, name) => {
    const stage = await new Stage().connected()
    stage.answer = () => ({ brokers: BROKERS, topics: [{ name: 'orders', error: code }] })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.updates.length === 1)
    expect(stage.updates).toEqual([['orders']])
    expect(stage.cluster.topicError('orders')?.name).toBe(name)
    stage.cluster.refresh('something else')
    await stage.network.pass(5_000, 500)
    expect(stage.asked.map(({ names }) => names)).toEqual([['orders'], []])

    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    stage.cluster.track('orders')
    expect(stage.cluster.topicError('orders')).toBeUndefined()
    await stage.network.until(() => stage.leaders('orders') !== undefined)
  })

  test('tracking a refused topic in a loop asks no more often than the back-off allows', async () => {
    const stage = await new Stage().connected()
    stage.answer = () => ({ brokers: BROKERS, topics: [{ name: 'orders', error: NOT_AUTHORIZED }] })
    for (let ms = 0; ms < 2_000; ms += 20) {
      stage.cluster.track('orders')
      await stage.network.pass(20)
    }
    expect(stage.asked.length).toBeLessThanOrEqual(6)
    expect(stage.asked.length).toBeGreaterThan(3)
  })

  test('a definite error takes away what was known', async () => {
    const stage = await new Stage().connected()
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.leaders('orders') !== undefined)
    stage.answer = () => ({ brokers: BROKERS, topics: [{ name: 'orders', error: NOT_AUTHORIZED }] })
    stage.cluster.refresh('a doubt')
    await stage.network.until(() => stage.updates.length === 2)
    expect(stage.cluster.topic('orders')).toBeUndefined()
  })

  test('a known topic that vanishes from the answers stays known, its error beside it, and is asked for again', async () => {
    const stage = await new Stage().connected()
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.leaders('orders') !== undefined)
    stage.answer = () => ({ brokers: BROKERS, topics: [{ name: 'orders', error: UNKNOWN_TOPIC }] })
    stage.cluster.refresh('a doubt')
    await stage.network.until(() => stage.cluster.topicError('orders') !== undefined)
    expect(stage.leaders('orders')).toEqual([1])
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    await stage.network.pass(200, 50)
    expect(stage.cluster.topicError('orders')).toBeUndefined()
  })

  test('no error and no partitions is no success (B35)', async () => {
    const stage = await new Stage().connected()
    stage.answer = () => ({ brokers: BROKERS, topics: [{ name: 'orders', partitions: [] }] })
    stage.cluster.track('orders')
    await stage.network.pass(300, 50)
    expect(stage.cluster.topic('orders')).toBeUndefined()
    expect(stage.cluster.topicError('orders')?.name).toBe('LEADER_NOT_AVAILABLE')
    expect(stage.times).toEqual([0, 100, 300])
  })

  test('a leaderless partition makes its topic asked for again until it has one', async () => {
    const stage = await new Stage().connected()
    const partitions = [{ leader: 1 }, { leader: -1, error: LEADER_NOT_AVAILABLE }]
    stage.answer = () => ({ brokers: BROKERS, topics: [{ ...ORDERS, partitions }] })
    stage.cluster.track('orders')
    await stage.network.pass(300, 50)
    expect(stage.leaders('orders')).toEqual([1, -1])
    expect(stage.times).toEqual([0, 100, 300])
    stage.answer = () => ({ brokers: BROKERS, topics: [{ ...ORDERS, partitions: [{ leader: 1 }, { leader: 2 }] }] })
    await stage.network.pass(400, 50)
    expect(stage.leaders('orders')).toEqual([1, 2])
    const count = stage.asked.length
    await stage.network.pass(5_000, 500)
    expect(stage.asked).toHaveLength(count)
  })

  test('a topic made anew, with another id, is reported although its epochs began anew', async () => {
    const stage = await new Stage().connected()
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.updates.length === 1)
    stage.answer = () => ({
      brokers: BROKERS,
      topics: [{ name: 'orders', id: 2, partitions: [{ leader: 2, epoch: 0 }] }],
    })
    stage.cluster.refresh('a doubt')
    await stage.network.until(() => stage.updates.length === 2)
    expect(stage.updates[1]).toEqual(['orders'])
    expect(stage.cluster.topic('orders')?.topicId).toEqual(new Uint8Array(16).fill(2))
    expect(stage.leaders('orders')).toEqual([2])
  })
})

describe('refresh', () => {
  const tracked = async (changes: Partial<NetOptions> = {}): Promise<Stage> => {
    const stage = await new Stage(changes).connected()
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.leaders('orders') !== undefined)
    await stage.network.pass(10_000)
    stage.asked.length = 0
    stage.updates.length = 0
    return stage
  }

  test('asks for all tracked topics at once; many reasons in one turn are one request', async () => {
    const stage = await tracked()
    for (let count = 0; count < 10; count++) stage.cluster.refresh(`reason ${count}`)
    await stage.network.until(() => stage.updates.length === 1)
    await stage.network.settle()
    expect(stage.asked.map(({ names, at }) => [names, at])).toEqual([[['orders'], 10_000]])
  })

  test('while answers change nothing the next ones wait ever longer, up to retryBackoffMaxMs', async () => {
    const stage = await tracked()
    for (let ms = 0; ms <= 5_000; ms += 20) {
      stage.cluster.refresh('no leader')
      await stage.network.pass(20)
    }
    const times = stage.times.map((at) => at - 10_000)
    expect(times.slice(0, 7)).toEqual([0, 100, 300, 700, 1_500, 2_500, 3_500])
  }, 20_000)

  test('an answer that changes something begins the spacing anew', async () => {
    const stage = await tracked()
    let epoch = 3
    stage.answer = () => ({ brokers: BROKERS, topics: [{ ...ORDERS, partitions: [{ leader: 1, epoch: epoch++ }] }] })
    for (let ms = 0; ms <= 500; ms += 20) {
      stage.cluster.refresh('no leader')
      await stage.network.pass(20)
    }
    // The first answer was the same as before.
    expect(stage.times.map((at) => at - 10_000)).toEqual([0, 100, 200, 300, 400, 500])
  })

  test('after a quiet time the spacing is forgotten', async () => {
    const stage = await tracked()
    for (let ms = 0; ms <= 2_000; ms += 20) {
      stage.cluster.refresh('no leader')
      await stage.network.pass(20)
    }
    await stage.network.pass(10_000, 500)
    stage.asked.length = 0
    const start = stage.now
    for (let ms = 0; ms <= 200; ms += 20) {
      stage.cluster.refresh('no leader')
      await stage.network.pass(20)
    }
    expect(stage.times.map((at) => at - start)).toEqual([0, 100])
  })

  test('after five answers that changed nothing another broker is asked', async () => {
    const stage = await tracked()
    for (let ms = 0; ms <= 4_000; ms += 20) {
      stage.cluster.refresh('no leader')
      await stage.network.pass(20)
    }
    expect(stage.asked.slice(0, 5).map(({ where }) => where)).toEqual(Array(5).fill('seed:9092'))
    expect(stage.asked[5]?.where).toMatch(/^b[12]:9092$/)
  }, 20_000)

  test('a new topic does not wait for that spacing', async () => {
    const stage = await tracked()
    for (let ms = 0; ms <= 2_000; ms += 20) {
      stage.cluster.refresh('no leader')
      await stage.network.pass(20)
    }
    stage.asked.length = 0
    stage.cluster.refresh('no leader')
    stage.cluster.track('clicks')
    await stage.network.until(() => stage.asked.length > 0)
    expect(stage.asked[0]?.names).toEqual(['clicks'])
  })

  test('an older leader epoch in an answer is ignored', async () => {
    const stage = await tracked()
    stage.answer = () => ({ brokers: BROKERS, topics: [{ ...ORDERS, partitions: [{ leader: 2, epoch: 2 }] }] })
    stage.cluster.refresh('a doubt')
    await stage.network.until(() => stage.updates.length === 1)
    expect(stage.leaders('orders')).toEqual([1])
    expect(stage.updates).toEqual([[]])
  })

  test('below version 9 it is taken, for epochs there cannot be relied on', async () => {
    const stage = await new Stage({}, 8).connected()
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.leaders('orders') !== undefined)
    stage.answer = () => ({ brokers: BROKERS, topics: [{ ...ORDERS, partitions: [{ leader: 2, epoch: 2 }] }] })
    stage.cluster.refresh('a doubt')
    await stage.network.until(() => stage.updates.length === 2)
    expect(stage.leaders('orders')).toEqual([2])
  })

  test('a broker that moved to another port is dialled there', async () => {
    const stage = await tracked()
    const lane = stage.pool.lane(1)
    lane.connect()
    await stage.network.until(() => lane.state.kind === 'open')
    stage.listen('b1:19092')
    stage.answer = () => ({ brokers: [[1, 'b1', 19_092]], topics: [ORDERS] })
    stage.cluster.refresh('a lost connection')
    await stage.network.until(() => lane.state.kind === 'idle')
    lane.connect()
    await stage.network.until(() => lane.state.kind === 'open')
    expect(stage.network.dials.at(-1)).toBe('b1:19092')
  })

  test('brokers may have IPv6 addresses', async () => {
    const stage = await new Stage().connected()
    stage.listen('[2001:db8::7]:9092')
    stage.answer = () => ({ brokers: [[7, '2001:db8::7', 9092]] })
    stage.cluster.refresh('a doubt')
    await stage.network.until(() => stage.updates.length === 1)
    const lane = stage.pool.lane(7)
    lane.connect()
    await stage.network.until(() => lane.state.kind === 'open')
    expect(lane.brokerName).toBe('broker 7 at [2001:db8::7]:9092')
  })

  test('happens by itself after metadataMaxAgeMs, without keeping the process alive', async () => {
    const stage = await tracked({ metadataMaxAgeMs: 60_000 })
    expect(stage.network.clock.keepAliveCount).toBe(0)
    await stage.network.pass(110_000, 1_000)
    // The last full answer was that to connect, a second before the start.
    expect(stage.times).toEqual([59_000, 119_000])
  }, 20_000)

  test('a topic that was not used for metadataMaxIdleMs is dropped and reported; touch keeps it', async () => {
    const stage = await tracked({ metadataMaxAgeMs: 60_000, metadataMaxIdleMs: 100_000 })
    stage.cluster.track('clicks')
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS, { ...ORDERS, name: 'clicks' }] })
    await stage.network.settle()
    for (let ms = 0; ms < 240_000; ms += 20_000) {
      stage.cluster.touch('clicks')
      await stage.network.pass(20_000, 1_000)
    }
    expect(stage.cluster.topic('orders')).toBeUndefined()
    expect(stage.leaders('clicks')).toEqual([1])
    expect(stage.updates.filter((changed) => changed.includes('orders'))).toHaveLength(1)
    expect(stage.asked.at(-1)?.names).toEqual(['clicks'])
  }, 20_000)
})

describe('failing', () => {
  test('requests that fail are repeated ever less often, as long as a topic is tracked, and told each time', async () => {
    const stage = await new Stage().connected()
    // The brokers listen, and say something that cannot be: no brokers.
    stage.answer = () => ({ brokers: [] })
    stage.cluster.track('orders')
    await stage.network.pass(3_600, 50)
    expect(stage.times).toEqual([0, 100, 300, 700, 1_500, 2_500, 3_500])
    expect(stage.failures).toHaveLength(7)
    expect(stage.cluster.lastError?.message).toBe('The metadata answer lists no brokers')
    expect(stage.pool.brokers).toHaveLength(2)
    expect(stage.cluster.version).toBe(1)
  })

  test('a topic tracked meanwhile waits for the same back-off', async () => {
    const stage = await new Stage().connected()
    stage.answer = () => ({ brokers: [] })
    stage.cluster.track('orders')
    await stage.network.pass(1_600, 50)
    stage.asked.length = 0
    stage.cluster.track('clicks')
    await stage.network.settle()
    expect(stage.asked).toEqual([])
    await stage.network.pass(900, 50)
    expect(stage.asked[0]?.names).toEqual(['orders', 'clicks'])
  })

  test('an unanswered request fails after requestTimeoutMs, and the next one goes elsewhere', async () => {
    const stage = await new Stage({ requestTimeoutMs: 5_000 }).connected()
    stage.answer = () => 'nothing'
    stage.cluster.track('orders')
    await stage.network.pass(5_000)
    expect(stage.failures.map(({ code }) => code)).toEqual(['REQUEST_TIMEOUT'])
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    await stage.network.pass(200, 50)
    expect(stage.leaders('orders')).toEqual([1])
    expect(stage.asked.map(({ where }) => where)).toEqual(['seed:9092', expect.stringMatching(/^b[12]:9092$/)])
  })

  test('with nothing tracked a dead cluster is not knocked at every second', async () => {
    const stage = await new Stage({ metadataMaxAgeMs: 60_000 }).connected()
    for (const where of ['seed:9092', 'b1:9092', 'b2:9092']) {
      stage.network.listen(where, 'refuses')
      stage.network.drop(where)
    }
    stage.network.dials.length = 0
    await stage.network.pass(200_000, 1_000)
    expect(stage.failures).toHaveLength(3)
    // Each time every address once.
    expect(stage.network.dials).toHaveLength(9)
    expect(stage.network.clock.keepAliveCount).toBe(0)
  }, 20_000)

  test('a listener that throws is logged and stops nothing', async () => {
    const stage = new Stage()
    stage.cluster.onUpdate = () => {
      throw new Error('a fault in the producer')
    }
    await stage.cluster.connect()
    expect(stage.network.said).toContainEqual({ level: 'error', message: 'a listener of the cluster threw' })
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.leaders('orders') !== undefined)
  })

  test('a log line for the user names what failed', async () => {
    const stage = new Stage()
    stage.network.listen('seed:9092', 'refuses')
    stage.cluster.track('orders')
    await stage.network.settle()
    const warnings = stage.network.said.filter(({ level }) => level === 'warn').map(({ message }) => message)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(/^no metadata: The only bootstrap server cannot be used: seed:9092.*ECONNREFUSED/)
  })
})

describe('rebootstrap', () => {
  test('error 129 goes back to the bootstrap addresses (KIP-1102), and believes the epochs of what answers there', async () => {
    const stage = new Stage()
    stage.answer = () => ({ brokers: BROKERS, topics: [{ ...ORDERS, id: 0 }] })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.leaders('orders') !== undefined)
    await stage.network.pass(200)
    // Off the bootstrap address, onto a known broker.
    stage.pool.moveControl()
    stage.cluster.refresh('a doubt')
    await stage.network.until(() => stage.updates.length === 2)
    expect(stage.asked.at(-1)?.where).toMatch(/^b[12]:9092$/)

    const moved = [[9, 'new', 9092]] as const
    const anew = [{ name: 'orders', partitions: [{ leader: 9, epoch: 0 }] }]
    let isFirst = true
    stage.answer = () => {
      if (!isFirst) return { brokers: moved, topics: anew, clusterId: 'another cluster' }
      isFirst = false
      return { brokers: BROKERS, error: REBOOTSTRAP_REQUIRED }
    }
    await stage.network.pass(200, 50)
    stage.cluster.refresh('a doubt')
    await stage.network.pass(200, 50)
    expect(stage.asked.at(-1)?.where).toBe('seed:9092')
    expect(stage.failures.map(({ code }) => code)).toEqual(['REBOOTSTRAP_REQUIRED'])
    expect(stage.pool.brokers.map(({ nodeId }) => nodeId)).toEqual([9])
    expect(stage.leaders('orders')).toEqual([9])
    expect(stage.network.said.map(({ message }) => message)).toContain(
      'the cluster id changed: these addresses lead to another cluster now',
    )
  })

  test("error 129 with metadataRecoveryStrategy 'none' is an error like others", async () => {
    const stage = await new Stage({ metadataRecoveryStrategy: 'none' }).connected()
    stage.answer = () => ({ brokers: BROKERS, error: REBOOTSTRAP_REQUIRED })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.failures.length === 1)
    expect(stage.pool.brokers).toHaveLength(2)
  })

  test('no known broker can be reached: the bootstrap addresses lead to the cluster again (KIP-899)', async () => {
    const stage = await new Stage().connected()
    for (const where of ['seed:9092', 'b1:9092', 'b2:9092']) {
      stage.network.listen(where, 'refuses')
      stage.network.drop(where)
    }
    stage.cluster.track('orders')
    await stage.network.pass(1_000, 50)
    expect(stage.failures.length).toBeGreaterThan(0)
    stage.listen('seed:9092')
    stage.answer = () => ({
      brokers: [[5, 'b5', 9092]],
      topics: [{ ...ORDERS, partitions: [{ leader: 5, epoch: 4 }] }],
    })
    await stage.network.pass(2_000, 50)
    expect(stage.leaders('orders')).toEqual([5])
    expect(stage.pool.brokers.map(({ nodeId }) => nodeId)).toEqual([5])
  })

  test('without any answer for metadataRecoveryRebootstrapTriggerMs the known brokers are given up', async () => {
    const stage = await new Stage({
      metadataRecoveryRebootstrapTriggerMs: 20_000,
      requestTimeoutMs: 60_000,
    }).connected()
    stage.pool.moveControl()
    stage.answer = () => 'nothing'
    stage.cluster.track('orders')
    await stage.network.pass(19_999)
    expect(stage.asked.map(({ where }) => where)).toEqual([expect.stringMatching(/^b[12]:9092$/)])
    expect(stage.pool.brokers).toHaveLength(2)
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    await stage.network.pass(1)
    await stage.network.pass(200, 50)
    expect(stage.asked.at(-1)?.where).toBe('seed:9092')
    expect(stage.leaders('orders')).toEqual([1])
  })
})

describe('leader hints (KIP-951)', () => {
  const tracked = async (): Promise<Stage> => {
    const stage = new Stage()
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.leaders('orders') !== undefined)
    stage.updates.length = 0
    return stage
  }
  const B3 = { nodeId: 3, host: 'b3', port: 9092, rack: null }

  test('a newer epoch with a known leader is taken at once', async () => {
    const stage = await tracked()
    const before = stage.cluster.topic('orders')
    const version = stage.cluster.version
    expect(stage.cluster.applyLeaderHint('orders', 0, 2, 4, [])).toBe(true)
    expect(stage.leaders('orders')).toEqual([2])
    expect(before?.partitions[0]?.leader).toBe(1)
    expect(stage.cluster.version).toBe(version + 1)
    expect(stage.updates).toEqual([])
  })

  test('a leader that nobody knew comes with its address, and its lane can connect', async () => {
    const stage = await tracked()
    stage.listen('b3:9092')
    expect(stage.cluster.applyLeaderHint('orders', 0, 3, 4, [B3])).toBe(true)
    const lane = stage.pool.lane(3)
    lane.connect()
    await stage.network.until(() => lane.state.kind === 'open')
    expect(lane.brokerName).toBe('broker 3 at b3:9092')
    expect(stage.pool.brokers).toHaveLength(3)
  })

  test('the same or an older epoch, an unknown leader, topic or partition change nothing', async () => {
    const stage = await tracked()
    const { cluster, pool } = stage
    expect(cluster.applyLeaderHint('orders', 0, 2, 3, [])).toBe(false)
    expect(cluster.applyLeaderHint('orders', 0, 2, -1, [])).toBe(false)
    expect(cluster.applyLeaderHint('orders', 0, 3, 4, [])).toBe(false)
    expect(cluster.applyLeaderHint('orders', 0, 3, 3, [B3])).toBe(false)
    expect(cluster.applyLeaderHint('orders', 1, 2, 4, [])).toBe(false)
    expect(cluster.applyLeaderHint('clicks', 0, 2, 4, [])).toBe(false)
    expect(stage.leaders('orders')).toEqual([1])
    expect(pool.has(3)).toBe(false)
  })

  test('metadata that is older than the hint does not take it back', async () => {
    const stage = await tracked()
    stage.cluster.applyLeaderHint('orders', 0, 2, 4, [])
    stage.cluster.refresh('a doubt')
    await stage.network.pass(200, 50)
    expect(stage.updates).toHaveLength(1)
    expect(stage.leaders('orders')).toEqual([2])
  })
})

describe('suggestions', () => {
  test('nearestTopics knows tracked topics, suggestTopics all that clients may use; callers share the request', async () => {
    const stage = new Stage()
    const topics = [
      ORDERS,
      { ...ORDERS, name: 'ordersx' },
      { ...ORDERS, name: '__orders', isInternal: true },
      { name: 'ordered', error: NOT_AUTHORIZED },
    ]
    stage.answer = () => ({ brokers: BROKERS, topics })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.leaders('orders') !== undefined)
    expect(stage.cluster.nearestTopics('ordres')).toEqual(['orders'])
    stage.asked.length = 0
    const both = await Promise.all([stage.cluster.suggestTopics('ordres'), stage.cluster.suggestTopics('ordersy')])
    expect(both).toEqual([
      ['orders', 'ordersx'],
      ['orders', 'ordersx'],
    ])
    expect(stage.asked).toMatchObject([{ names: null, allowAutoTopicCreation: false }])
    expect(stage.cluster.knownTopics()).toEqual(['orders'])
  })

  test('suggestTopics never rejects: without an answer it knows what nearestTopics knows', async () => {
    const stage = new Stage()
    stage.answer = () => ({ brokers: BROKERS, topics: [ORDERS] })
    stage.cluster.track('orders')
    await stage.network.until(() => stage.leaders('orders') !== undefined)
    const suggested = stage.cluster.suggestTopics('ordres')
    await stage.pool.close()
    expect(await suggested).toEqual(['orders'])
    expect(await stage.cluster.suggestTopics('ordres')).toEqual(['orders'])
  })
})

describe('close', () => {
  test('with a request under way: no update and no failure any more, no timer, no socket', async () => {
    const stage = await new Stage().connected()
    stage.answer = () => 'nothing'
    stage.cluster.track('orders')
    await stage.network.until(() => stage.asked.length === 1)
    await stage.close()
    await stage.network.settle()
    expect(stage.failures).toEqual([])
    expect(stage.updates).toEqual([])
    expect(stage.network.clock.pendingDelaysMs).toEqual([])
    expect(stage.network.openCount('seed:9092')).toBe(0)
  })

  test('at rest, and then asked for more: nothing happens', async () => {
    const stage = await new Stage().connected()
    await stage.close()
    stage.cluster.track('orders')
    stage.cluster.refresh('a doubt')
    await stage.network.pass(5_000, 500)
    expect(stage.asked).toEqual([])
    expect(stage.network.clock.pendingDelaysMs).toEqual([])
  })
})
