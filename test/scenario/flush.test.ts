// What `flush` promises, sentence by sentence.
import { describe, expect, test } from 'vitest'
import { deferred, failureOf, isSettled, numbered, turns, useStage } from './stage.ts'

const stage = useStage()

const large = (letter: string) => letter.repeat(3000)
const tight = { batchSize: 4096, bufferMemory: 8192 }

describe('flush', () => {
  test('makes everything buffered ready to send, whatever lingerMs says', async () => {
    const cluster = await stage.cluster({ topics: { orders: 3 } })
    const producer = stage.producer(cluster, { lingerMs: 25_000 })
    for (const partition of [0, 1, 2]) producer.enqueue({ topic: 'orders', partition, value: 'v' })
    expect(await producer.flush()).toEqual({ delivered: 3, failed: 0 })
    expect(cluster.count('orders')).toBe(3)
  })

  test('with nothing to wait for resolves, and opens no connection', async () => {
    const cluster = await stage.cluster()
    expect(await stage.producer(cluster).flush()).toEqual({ delivered: 0, failed: 0 })
    expect(cluster.connections).toHaveLength(0)
  })

  test('when it resolves, every record handed over before has settled and was called back', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const settled: string[] = []
    for (const value of numbered('e', 100)) producer.enqueue({ topic: 'orders', value }, () => settled.push(value))
    for (const value of numbered('s', 100))
      void producer.send({ topic: 'orders', value }).then(() => settled.push(value))
    const many = producer.sendMany(numbered('m', 100).map((value) => ({ topic: 'orders', value })))
    void many.then((results) => settled.push(...results.map(() => 'm')))
    expect(await producer.flush()).toEqual({ delivered: 300, failed: 0 })
    await turns(1)
    expect(settled).toHaveLength(300)
  })

  test('waits for records that wait for metadata', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Metadata').delay(gate.promise)
    const producer = stage.producer(cluster)
    producer.enqueue({ topic: 'orders', value: 'v' })
    const flushed = producer.flush()
    await cluster.untilSeen('Metadata')
    expect(await isSettled(flushed)).toBe(false)
    gate.resolve()
    expect(await flushed).toEqual({ delivered: 1, failed: 0 })
  })

  test('waits for records that wait for room', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, tight)
    const sent = 'abcdef'.split('').map((letter) => producer.send({ topic: 'orders', value: large(letter) }))
    const flushed = producer.flush()
    await cluster.untilSeen('Produce')
    expect(await isSettled(flushed)).toBe(false)
    gate.resolve()
    expect(await flushed).toEqual({ delivered: 6, failed: 0 })
    await Promise.all(sent)
  })

  test('waits for the records of a sendMany that are not taken yet', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, tight)
    const many = producer.sendMany('abcdefgh'.split('').map((letter) => ({ topic: 'orders', value: large(letter) })))
    expect(await producer.flush()).toEqual({ delivered: 8, failed: 0 })
    expect(cluster.count('orders')).toBe(8)
    await many
  })

  test('never rejects because a record failed: it counts them', async () => {
    const cluster = await stage.cluster({ topics: { orders: 2 } })
    cluster.on('Produce', { partition: 1 }).error('INVALID_RECORD')
    const producer = stage.producer(cluster)
    const failures = [0, 1, 1].map((partition) =>
      producer.send({ topic: 'orders', partition, value: `v-${partition}` }),
    )
    failures.push(producer.send({ topic: 'not a topic', value: 'v' }))
    for (const failure of failures) failure.catch(() => undefined)
    producer.enqueue({ topic: 'orders', value: 7 as never })
    const report = await producer.flush()
    expect(report.delivered).toBe(1)
    // Two were refused by the broker and one of enqueue by us; whether a send that was refused at once counts is not promised.
    expect(report.failed).toBeGreaterThanOrEqual(3)
  })

  test('has one deadline over all: past it it rejects with FLUSH_TIMEOUT and the count still out, and the records go on', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster)
    const sent = numbered('v', 7).map((value) => producer.send({ topic: 'orders', value }))
    const error = await failureOf(producer.flush({ timeoutMs: 30 }))
    expect(error).toMatchObject({ name: 'TimeoutError', code: 'FLUSH_TIMEOUT' })
    expect(error.message).toMatch(/\b7\b/)
    gate.resolve()
    await Promise.all(sent)
    expect(cluster.count('orders')).toBe(7)
  })

  test('is ended by its signal, and the records go on', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster)
    const sent = producer.send({ topic: 'orders', value: 'v' })
    const controller = new AbortController()
    const flushed = producer.flush({ signal: controller.signal })
    controller.abort()
    expect(await failureOf(flushed)).toMatchObject({ code: 'ABORTED' })
    gate.resolve()
    await sent
  })

  test('does not wait for records sent after the call', async () => {
    const cluster = await stage.cluster({ topics: { orders: 2 } })
    const gate = deferred()
    cluster.on('Produce', { partition: 1 }).delayAnswer(gate.promise)
    const producer = stage.producer(cluster)
    await producer.partitionsFor('orders')
    const first = producer.send({ topic: 'orders', partition: 0, value: 'before' })
    const flushed = producer.flush()
    await first
    const later = producer.send({ topic: 'orders', partition: 1, value: 'after' })
    await cluster.untilSeen('Produce', 2)
    expect(await flushed).toEqual({ delivered: 1, failed: 0 })
    expect(await isSettled(later)).toBe(false)
    gate.resolve()
    await later
  })

  test('follows retried batches', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce', { times: 3 }).error('NOT_ENOUGH_REPLICAS')
    const producer = stage.producer(cluster)
    producer.enqueue({ topic: 'orders', value: 'v' })
    expect(await producer.flush()).toEqual({ delivered: 1, failed: 0 })
    expect(cluster.seen('Produce')).toHaveLength(4)
  })

  test('follows split batches', async () => {
    const cluster = await stage.cluster({ topics: { orders: { partitions: 1, maxMessageBytes: 1000 } } })
    const producer = stage.producer(cluster)
    const values = numbered('v', 50).map((name) => name.padEnd(100, '.'))
    for (const value of values) producer.enqueue({ topic: 'orders', value })
    expect(await producer.flush()).toEqual({ delivered: 50, failed: 0 })
    expect(cluster.values('orders', 0)).toEqual(values)
  })

  test('ends when the last record it waits for is called back by its signal', async () => {
    const cluster = await stage.cluster({ topics: {} })
    const producer = stage.producer(cluster)
    const controller = new AbortController()
    const failure = failureOf(producer.send({ topic: 'missing', value: 'v' }, { signal: controller.signal }))
    const flushed = producer.flush()
    await cluster.untilSeen('Metadata')
    controller.abort()
    expect(await failure).toMatchObject({ code: 'ABORTED' })
    expect(await flushed).toEqual({ delivered: 0, failed: 1 })
  })

  test('may be called many times at once', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const reports: Promise<unknown>[] = []
    for (const value of numbered('v', 20)) {
      producer.enqueue({ topic: 'orders', value })
      reports.push(producer.flush())
    }
    await Promise.all(reports)
    expect(cluster.values('orders', 0)).toEqual(numbered('v', 20))
  })
})
