// What `close` promises, sentence by sentence.
import { describe, expect, test } from 'vitest'
import { runChild } from './children/run.ts'
import { deferred, failureOf, numbered, useStage } from './stage.ts'

const stage = useStage()

const large = (letter: string) => letter.repeat(3000)
const tight = { batchSize: 4096, bufferMemory: 8192 }

describe('close', () => {
  test('flushes, whatever lingerMs says, and reports what became of the records', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { lingerMs: 25_000 })
    for (const value of numbered('v', 10)) producer.enqueue({ topic: 'orders', value })
    expect(await producer.close()).toEqual({ delivered: 10, failed: 0, abandoned: 0 })
    expect(cluster.count('orders')).toBe(10)
  })

  test('counts records that failed', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').error('INVALID_RECORD')
    const producer = stage.producer(cluster)
    for (const value of numbered('v', 3)) producer.enqueue({ topic: 'orders', value })
    expect(await producer.close()).toEqual({ delivered: 0, failed: 3, abandoned: 0 })
  })

  test('takes no new records', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster)
    const before = producer.send({ topic: 'orders', value: 'before' })
    await cluster.untilSeen('Produce')
    const closing = producer.close()
    const calledBack = deferred<unknown>()
    expect(await failureOf(producer.send({ topic: 'orders', value: 'v' }))).toMatchObject({
      code: 'CLOSED',
      persisted: 'no',
    })
    expect(await failureOf(producer.sendMany([{ topic: 'orders', value: 'v' }]))).toMatchObject({ persisted: 'no' })
    expect(producer.enqueue({ topic: 'orders', value: 'v' }, (error) => calledBack.resolve(error))).toBe(false)
    expect(await calledBack.promise).toMatchObject({ code: 'CLOSED' })
    gate.resolve()
    await before
    await closing
    expect(await failureOf(producer.send({ topic: 'orders', value: 'v' }))).toMatchObject({ code: 'CLOSED' })
    expect(await failureOf(producer.partitionsFor('orders'))).toMatchObject({ code: 'CLOSED' })
    expect(await failureOf(producer.connect())).toMatchObject({ code: 'CLOSED' })
    expect(cluster.values('orders', 0)).toEqual(['before'])
  })

  test('tells a callback of a record that came after it, too', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.close()
    const calledBack = deferred<unknown>()
    producer.enqueue({ topic: 'orders', value: 'v' }, (error) => calledBack.resolve(error))
    expect(await calledBack.promise).toMatchObject({ code: 'CLOSED' })
  })

  test('fails what is left after timeoutMs with CLOSED, saying whether it can be in the log', async () => {
    const cluster = await stage.cluster({ topics: { orders: 2 } })
    const gate = deferred()
    cluster.on('Produce', { partition: 0 }).delay(gate.promise)
    const producer = stage.producer(cluster, { lingerMs: 0, maxInFlightRequestsPerConnection: 1 })
    await producer.partitionsFor('orders')
    const flying = failureOf(producer.send({ topic: 'orders', partition: 0, value: 'flying' }))
    await cluster.untilSeen('Produce')
    const waiting = failureOf(producer.send({ topic: 'orders', partition: 0, value: 'waiting' }))
    expect(await producer.close({ timeoutMs: 30 })).toEqual({ delivered: 0, failed: 0, abandoned: 2 })
    expect(await flying).toMatchObject({ code: 'CLOSED', persisted: 'possibly', topic: 'orders', partition: 0 })
    expect(await waiting).toMatchObject({ code: 'CLOSED', persisted: 'no' })
    gate.resolve()
  })

  test('settles sends that wait for room', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, tight)
    const sent = 'abcdef'.split('').map((letter) => producer.send({ topic: 'orders', value: large(letter) }))
    const failures = sent.map((each) =>
      each.then(
        () => 'delivered',
        (error) => error.code,
      ),
    )
    await cluster.untilSeen('Produce')
    expect(await producer.close({ timeoutMs: 0 })).toEqual({ delivered: 0, failed: 0, abandoned: 6 })
    expect(await Promise.all(failures)).toEqual(Array(6).fill('CLOSED'))
    gate.resolve()
  })

  test('delivers sends that wait for room when there is time', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, tight)
    const sent = 'abcdef'.split('').map((letter) => producer.send({ topic: 'orders', value: large(letter) }))
    expect(await producer.close()).toEqual({ delivered: 6, failed: 0, abandoned: 0 })
    await Promise.all(sent)
  })

  test('settles records that wait for metadata', async () => {
    const cluster = await stage.cluster({ topics: {} })
    const producer = stage.producer(cluster)
    const failure = failureOf(producer.send({ topic: 'missing', value: 'v' }))
    await cluster.untilSeen('Metadata')
    expect(await producer.close({ timeoutMs: 10 })).toMatchObject({ abandoned: 1 })
    expect(await failure).toMatchObject({ code: 'CLOSED', persisted: 'no' })
  })

  test('settles partitionsFor, flush and connect that wait', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Metadata', { times: Number.POSITIVE_INFINITY }).delay(gate.promise)
    const producer = stage.producer(cluster)
    producer.enqueue({ topic: 'orders', value: 'v' })
    const partitions = failureOf(producer.partitionsFor('orders'))
    const connected = failureOf(producer.connect())
    const flushed = producer.flush().then(
      () => 'flushed',
      () => 'rejected',
    )
    await cluster.untilSeen('Metadata')
    await producer.close({ timeoutMs: 0 })
    expect(await partitions).toMatchObject({ code: 'CLOSED' })
    expect(await connected).toMatchObject({ code: 'CLOSED' })
    expect(['flushed', 'rejected']).toContain(await flushed)
    gate.resolve()
  })

  test('closes every socket', async () => {
    const cluster = await stage.cluster({ brokers: 3, topics: { orders: 6 } })
    const producer = stage.producer(cluster)
    await producer.sendMany(
      Array.from({ length: 60 }, (_, index) => ({ topic: 'orders', partition: index % 6, value: 'v' })),
    )
    expect(cluster.openConnections.length).toBeGreaterThanOrEqual(3)
    await producer.close()
    await cluster.until(() => cluster.openConnections.length === 0, 'all connections to end')
  })

  test('of a producer that was never used opens nothing', async () => {
    const cluster = await stage.cluster()
    expect(await stage.producer(cluster).close()).toEqual({ delivered: 0, failed: 0, abandoned: 0 })
    expect(cluster.connections).toHaveLength(0)
  })

  test('leaves nothing that keeps the process alive, not even when no broker answers', async () => {
    const cluster = await stage.cluster()
    cluster.on('ApiVersions', { times: Number.POSITIVE_INFINITY }).swallow()
    const child = await runChild('close-unreachable.ts', [cluster.bootstrapServers])
    expect(child).toMatchObject({ code: 0, stdout: 'CLOSED abandoned 1\n' })
  })
})

describe('close is safe', () => {
  test('to call twice, and at the same time', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    producer.enqueue({ topic: 'orders', value: 'v' })
    const [first, second] = await Promise.all([producer.close(), producer.close()])
    expect(first).toEqual({ delivered: 1, failed: 0, abandoned: 0 })
    expect(second).toEqual(first)
    expect(await producer.close()).toEqual(first)
  })

  test('inside a callback', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const report = deferred<unknown>()
    producer.enqueue({ topic: 'orders', value: 'v' }, () => report.resolve(producer.close()))
    producer.enqueue({ topic: 'orders', value: 'w' })
    expect(await report.promise).toMatchObject({ failed: 0, abandoned: 0 })
    expect(cluster.count('orders')).toBe(2)
  })

  test('during connect', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('ApiVersions').delay(gate.promise)
    const producer = stage.producer(cluster)
    const connected = producer.connect().then(
      () => 'connected',
      (error) => error.code,
    )
    await cluster.untilSeen('ApiVersions')
    await producer.close()
    expect(await connected).toBe('CLOSED')
    gate.resolve()
  })

  test('during flush, which then ends', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster)
    producer.enqueue({ topic: 'orders', value: 'v' })
    const flushed = producer.flush()
    await cluster.untilSeen('Produce')
    const closing = producer.close()
    gate.resolve()
    expect(await flushed).toEqual({ delivered: 1, failed: 0 })
    expect(await closing).toMatchObject({ delivered: 1, abandoned: 0 })
  })

  test('after a fatal error', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').error('CLUSTER_AUTHORIZATION_FAILED')
    const producer = stage.producer(cluster)
    expect(await failureOf(producer.send({ topic: 'orders', value: 'v' }))).toMatchObject({ fatal: true })
    expect(await producer.close()).toMatchObject({ abandoned: 0 })
  })
})

describe('await using', () => {
  test('closes at the end of the block', async () => {
    const cluster = await stage.cluster()
    {
      await using producer = stage.producer(cluster)
      producer.enqueue({ topic: 'orders', value: 'v' })
    }
    expect(cluster.count('orders')).toBe(1)
    await cluster.until(() => cluster.openConnections.length === 0, 'all connections to end')
  })

  test('rejects when records were abandoned', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce', { times: 1 }).swallow()
    const producer = stage.producer(cluster)
    producer.enqueue({ topic: 'orders', value: 'v' }, () => undefined)
    await cluster.untilSeen('Produce')
    const closing = producer.close({ timeoutMs: 0 })
    expect(await failureOf(producer[Symbol.asyncDispose]())).toMatchObject({ code: 'CLOSED' })
    await closing
  })
})
