// bufferMemory is a bound and not a hint: what is taken comes back, whatever became of the records.
import { describe, expect, test } from 'vitest'
import { deferred, failureOf, numbered, useStage } from './stage.ts'

const stage = useStage()

describe('bufferMemory', () => {
  const bufferMemory = 65_536
  const batchSize = 8192

  /** Sends far more than fits at once and answers how many bytes of values got in; those that wait are not in the buffer. */
  async function fill(isTopicKnown: boolean): Promise<number> {
    const cluster = await stage.cluster({ topics: { orders: 6 } })
    const producer = stage.producer(cluster, { batchSize, bufferMemory })
    const count = 1000
    const bytes = 500
    if (isTopicKnown) await producer.send({ topic: 'orders', partition: 0, value: 'first' })
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const sent = Promise.all(
      numbered('v', count).map((name, index) =>
        producer.send({ topic: 'orders', partition: index % 6, value: name.padEnd(bytes, '.') }),
      ),
    )
    const asked = cluster.seen('Produce').length
    await cluster.untilSeen('Produce', asked + 1)
    const { bufferTotalBytes, waitingThreads } = producer.metrics()
    expect(bufferTotalBytes).toBe(bufferMemory)
    expect(producer.health().bufferUsed).toBeGreaterThan(0.5)
    gate.resolve()
    await sent
    expect(cluster.count('orders')).toBe(count + (isTopicKnown ? 1 : 0))
    return (count - waitingThreads) * bytes
  }

  test('is never exceeded, however much is sent at once', async () => {
    const bytes = await fill(true)
    expect(bytes).toBeLessThanOrEqual(bufferMemory)
    expect(bytes).toBeGreaterThan(bufferMemory / 4)
  })

  test('is exceeded by a batch and a smallest region for each partition at most, while records move to their partitions', async () => {
    expect(await fill(false)).toBeLessThanOrEqual(bufferMemory + batchSize + 6 * 4096)
  })

  test('comes back whole when everything has settled', async () => {
    const cluster = await stage.cluster({
      brokers: 2,
      topics: { orders: 4, tiny: { partitions: 1, maxMessageBytes: 500 } },
    })
    const producer = stage.producer(cluster, { batchSize: 2000, requestTimeoutMs: 200, deliveryTimeoutMs: 1000 })
    const whole = producer.metrics().bufferAvailableBytes
    expect(whole).toBe(producer.metrics().bufferTotalBytes)
    cluster.on('Produce', { topic: 'orders', partition: 0, nth: 2 }).error('INVALID_RECORD')
    cluster.on('Produce', { topic: 'orders', partition: 1, nth: 1 }).appendThenDrop()
    cluster.on('Produce', { topic: 'orders', partition: 2, nth: 2 }).recordErrors({ 0: 'bad' })
    cluster.on('Produce', { topic: 'orders', partition: 3, nth: 3 }).swallow()
    const sent: Promise<unknown>[] = []
    for (const [index, name] of numbered('v', 400).entries()) {
      sent.push(producer.send({ topic: 'orders', partition: index % 4, value: name.padEnd(100, '.') }))
      sent.push(producer.send({ topic: 'tiny', value: name.padEnd(index % 50 === 0 ? 900 : 100, '.') }))
      if (index % 40 === 0) sent.push(producer.send({ topic: 'orders', value: Buffer.alloc(30_000) }))
    }
    sent.push(producer.send({ topic: 'not a topic', value: 'v' }))
    await Promise.allSettled(sent)
    await producer.flush()
    expect(producer.metrics().bufferAvailableBytes).toBe(whole)
    expect(producer.health()).toMatchObject({ bufferUsed: 0, oldestUnsettledMs: 0 })
  })

  test('comes back when records expire in the queue and in flight', async () => {
    const cluster = await stage.cluster({ topics: { orders: 2 } })
    const producer = stage.producer(cluster, { requestTimeoutMs: 200, deliveryTimeoutMs: 500 })
    cluster.setLeader('orders', 1, -1)
    cluster.on('Produce', { times: Number.POSITIVE_INFINITY }).swallow()
    await Promise.all(
      [0, 1].map((partition) => failureOf(producer.send({ topic: 'orders', partition, value: 'v'.repeat(5000) }))),
    )
    await cluster.until(
      () => producer.metrics().bufferAvailableBytes === producer.metrics().bufferTotalBytes,
      'the memory of the request that was given up',
    )
  })

  test('refuses a record that never fits', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { batchSize: 4096, bufferMemory: 8192 })
    const error = await failureOf(producer.send({ topic: 'orders', value: 'x'.repeat(9000) }))
    expect(error).toMatchObject({ name: 'RecordError', code: 'RECORD_TOO_LARGE', persisted: 'no' })
    expect(error.message).toContain('bufferMemory')
  })

  test('takes records of unknown topics into account', async () => {
    const cluster = await stage.cluster({ topics: {} })
    const producer = stage.producer(cluster, { batchSize: 4096, bufferMemory: 16_384, maxBlockMs: 400 })
    const values = numbered('v', 10).map((name) => name.padEnd(3000, '.'))
    const codes: string[] = []
    for (const value of values) producer.enqueue({ topic: 'missing', value }, (error) => codes.push(error!.code))
    await producer.flush()
    expect(codes).toHaveLength(10)
    expect(codes.filter((code) => code === 'BUFFER_FULL').length).toBeGreaterThanOrEqual(5)
    expect(producer.metrics().bufferAvailableBytes).toBe(16_384)
  })

  test('is enough for many partitions, each with few records', async () => {
    const cluster = await stage.cluster({ topics: { orders: 200 } })
    const producer = stage.producer(cluster, { bufferMemory: 131_072, batchSize: 16_384 })
    const records = Array.from({ length: 2000 }, (_, index) => ({
      topic: 'orders',
      partition: index % 200,
      value: `v-${index}`,
    }))
    await producer.sendMany(records)
    expect(cluster.count('orders')).toBe(2000)
  })

  test('lets a large record in when it is its turn, though small ones come all the time', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { batchSize: 4096, bufferMemory: 32_768 })
    const small = numbered('v', 300).map((name) => name.padEnd(2000, '.'))
    const sent = small.map((value) => producer.send({ topic: 'orders', value }))
    const large = producer.send({ topic: 'orders', value: 'L'.repeat(30_000) })
    const more = small.map((value) => producer.send({ topic: 'orders', value: `more ${value}` }))
    await Promise.all([...sent, large, ...more])
    expect(cluster.values('orders', 0)[300]).toBe('L'.repeat(30_000))
  })
})

describe('maxWaitingSends and maxWaitingBytes', () => {
  test('0 means that nobody waits', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    for (const option of ['maxWaitingSends', 'maxWaitingBytes'] as const) {
      const producer = stage.producer(cluster, { batchSize: 4096, bufferMemory: 4096, [option]: 0 })
      const first = producer.send({ topic: 'orders', value: 'x'.repeat(3000) })
      expect(await failureOf(producer.send({ topic: 'orders', value: 'y'.repeat(3000) }))).toMatchObject({
        code: 'BUFFER_FULL',
      })
      gate.resolve()
      await first
    }
  })
})
