// acks 0, 1 and all; retries 0; idempotence on and off; the presets; throttling.
import { describe, expect, test } from 'vitest'
import { presets } from '../../src/index.ts'
import { deferred, failureOf, numbered, turns, useStage } from './stage.ts'

const stage = useStage()

describe('acks 0', () => {
  test('resolves without an answer, and the offset is not known', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { acks: 0 })
    const metadata = await producer.send({ topic: 'orders', key: 'k', value: 'v', timestamp: 7 })
    expect(metadata).toEqual({
      topic: 'orders',
      partition: 0,
      offset: -1,
      timestamp: 7,
      serializedKeySize: 1,
      serializedValueSize: 1,
    })
    await cluster.until(() => cluster.seen('Produce')[0]?.outcome === 'silent', 'the request to be handled')
    expect(cluster.seen('Produce')[0]!.request.acks).toBe(0)
    expect(cluster.values('orders', 0)).toEqual(['v'])
  })

  test('keeps order, and close and flush get everything out', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { acks: 0, batchSize: 500 })
    const values = numbered('v', 1000)
    for (const value of values) producer.enqueue({ topic: 'orders', value })
    expect(await producer.close()).toEqual({ delivered: 1000, failed: 0, abandoned: 0 })
    await cluster.until(() => cluster.count('orders') === 1000, 'all records to arrive')
    expect(cluster.values('orders', 0)).toEqual(values)
  })

  test('switches idempotence off, with a line in the log', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { acks: 0 })
    expect(stage.logged('enableIdempotence').map((line) => line.level)).toEqual(['warn'])
    await producer.send({ topic: 'orders', value: 'v' })
    await cluster.until(() => cluster.count('orders') === 1, 'the record to arrive')
    expect(cluster.batches('orders', 0)).toMatchObject([{ producerId: -1 }])
    expect(cluster.seen('InitProducerId')).toHaveLength(0)
  })

  test('finds the new leader after the broker has closed the connection over an error', async () => {
    const cluster = await stage.cluster({ brokers: 2, topics: { orders: 1 } })
    const producer = stage.producer(cluster, { acks: 0 })
    await producer.send({ topic: 'orders', value: 'first' })
    await cluster.until(() => cluster.count('orders') === 1, 'the first record')
    cluster.setLeader('orders', 0, 2)
    await producer.send({ topic: 'orders', value: 'lost' })
    await cluster.until(() => cluster.connections.some((each) => !each.isOpen), 'the broker to close the connection')
    for (let attempt = 0; attempt < 500 && cluster.count('orders') === 1; attempt++) {
      await producer.send({ topic: 'orders', value: 'again' })
      await turns()
    }
    expect(cluster.batches('orders', 0).at(-1)!.broker).toBe(2)
  })

  test('stray bytes from the broker do no harm', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { acks: 0 })
    await producer.send({ topic: 'orders', value: 'first' })
    // As Azure does: an answer that nobody asked for.
    cluster.on('Produce').reply(Buffer.from('0000001000000002000000000000000000000000', 'hex'))
    await producer.send({ topic: 'orders', value: 'second' })
    await producer.send({ topic: 'orders', value: 'third' })
    await producer.flush()
    await cluster.until(() => cluster.values('orders', 0).includes('third'), 'the third record')
  })
})

describe('acks 1 and all', () => {
  test.each([
    [1, 1],
    ['all', -1],
    [-1, -1],
  ] as const)('%s is %i on the wire, with requestTimeoutMs', async (acks, onTheWire) => {
    const cluster = await stage.cluster()
    await stage.producer(cluster, { acks, requestTimeoutMs: 4321 }).send({ topic: 'orders', value: 'v' })
    expect(cluster.seen('Produce')[0]!.request).toMatchObject({
      acks: onTheWire,
      timeoutMs: 4321,
      transactionalId: null,
    })
  })

  test('acks 1 switches idempotence off, and retries may then double a record', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').appendThenDrop()
    await stage.producer(cluster, { acks: 1 }).send({ topic: 'orders', value: 'v' })
    expect(cluster.values('orders', 0)).toEqual(['v', 'v'])
  })
})

describe('retries 0', () => {
  test('fails at the first error, which says that sending again may work', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').error('NOT_ENOUGH_REPLICAS')
    const producer = stage.producer(cluster, { retries: 0 })
    const error = await failureOf(producer.send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({ code: 'NOT_ENOUGH_REPLICAS', attempts: 1, retriable: true, persisted: 'no' })
    expect(cluster.seen('Produce')).toHaveLength(1)
    expect(stage.logged('enableIdempotence')).toHaveLength(1)
    expect(await producer.send({ topic: 'orders', value: 'w' })).toMatchObject({ offset: 0 })
  })

  test('a connection that is lost fails what was on it', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').dropBefore()
    const error = await failureOf(stage.producer(cluster, { retries: 0 }).send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({
      name: 'ConnectionError',
      code: 'CONNECTION_CLOSED',
      persisted: 'possibly',
      retriable: true,
    })
  })

  test('a partition that is missing in the answer fails its records', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').omitPartition()
    const error = await failureOf(stage.producer(cluster, { retries: 0 }).send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({ persisted: 'possibly', topic: 'orders', partition: 0 })
  })
})

describe('presets', () => {
  test('neverLose is idempotent with acks all', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').appendThenDrop()
    const producer = stage.producer(cluster, { ...presets.neverLose })
    await producer.sendMany(numbered('v', 100).map((value) => ({ topic: 'orders', value })))
    expect(cluster.count('orders')).toBe(100)
    expect(cluster.seen('Produce')[0]!.request.acks).toBe(-1)
    expect(cluster.batches('orders', 0)[0]!.producerId).not.toBe(-1)
  })

  test('neverBlock drops the oldest and counts it', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce', { times: Number.POSITIVE_INFINITY }).delay(gate.promise)
    const producer = stage.producer(cluster, { ...presets.neverBlock, bufferMemory: 1_048_576 })
    const codes = new Map<string, number>()
    const value = 'x'.repeat(10_000)
    const count = 500
    for (let index = 0; index < count; index++) {
      producer.enqueue({ topic: 'orders', value }, (error) => {
        const code = error?.code ?? 'delivered'
        codes.set(code, (codes.get(code) ?? 0) + 1)
      })
    }
    gate.resolve()
    await producer.flush()
    expect(codes.get('DROPPED')).toBeGreaterThan(0)
    expect([...codes.values()].reduce((sum, each) => sum + each, 0)).toBe(count)
    expect(producer.metrics().recordErrorTotal).toBe(count - (codes.get('delivered') ?? 0))
  })
})

describe('throttling (KIP-219)', () => {
  test('the client holds its requests on that connection for as long as it was asked to', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce').throttle(120)
    await producer.send({ topic: 'orders', value: 'second' })
    await producer.send({ topic: 'orders', value: 'third' })
    const times = cluster.seen('Produce').map((request) => request.receivedAt)
    // The answer was sent after the second request came, so the third is at least so far behind. A timer may be a millisecond early.
    expect(times[2]! - times[1]!).toBeGreaterThanOrEqual(119)
    expect(cluster.values('orders', 0)).toEqual(['first', 'second', 'third'])
  })

  test('another broker is not held up', async () => {
    const cluster = await stage.cluster({ brokers: 2, topics: { orders: 2 } })
    const producer = stage.producer(cluster)
    await producer.sendMany([0, 1].map((partition) => ({ topic: 'orders', partition, value: 'first' })))
    cluster.on('Produce', { broker: 1 }).throttle(400)
    await producer.send({ topic: 'orders', partition: 0, value: 'throttled' })
    const order: string[] = []
    const held = producer.send({ topic: 'orders', partition: 0, value: 'held' }).then(() => order.push('held'))
    const free = producer.send({ topic: 'orders', partition: 1, value: 'free' }).then(() => order.push('free'))
    await Promise.all([held, free])
    expect(order).toEqual(['free', 'held'])
  })

  test('below Produce v6 the broker has waited already, and the client does not', async () => {
    const cluster = await stage.cluster({ topics: { orders: 1 }, versions: { Produce: 5 } })
    const producer = stage.producer(cluster)
    cluster.on('Produce').throttle(25_000)
    await producer.send({ topic: 'orders', value: 'first' })
    await producer.send({ topic: 'orders', value: 'second' })
    expect(cluster.values('orders', 0)).toEqual(['first', 'second'])
  })

  test('does not count against requestTimeoutMs', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { requestTimeoutMs: 60 })
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce').throttle(150)
    const connections = cluster.connections.length
    await producer.send({ topic: 'orders', value: 'second' })
    await producer.send({ topic: 'orders', value: 'third' })
    expect(cluster.connections).toHaveLength(connections)
  })

  test('is in the metrics', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    cluster.on('Produce').throttle(30)
    await producer.send({ topic: 'orders', value: 'v' })
    expect(producer.metrics().produceThrottleTimeMax).toBe(30)
  })
})
