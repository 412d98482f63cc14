// What can be seen of a producer from outside: metrics, health and the log, over whole runs.
import { describe, expect, test, vi } from 'vitest'
import { deferred, failureOf, numbered, useStage } from './stage.ts'

const stage = useStage()

describe('metrics', () => {
  test('add up: every record is delivered, failed or pending', async () => {
    const cluster = await stage.cluster({
      brokers: 2,
      topics: { orders: 2, tiny: { partitions: 1, maxMessageBytes: 400 } },
    })
    const producer = stage.producer(cluster, { batchSize: 1000 })
    cluster.on('Produce', { topic: 'orders', nth: 2 }).appendThenDrop()
    cluster.on('Produce', { topic: 'orders', partition: 1, nth: 3 }).error('INVALID_RECORD')
    cluster.on('Produce', { topic: 'orders', partition: 0, nth: 2 }).error('NOT_ENOUGH_REPLICAS')
    const sent = numbered('v', 300).map((value, index) =>
      producer.send({
        topic: index % 5 === 0 ? 'tiny' : 'orders',
        value: value.padEnd(60, '.'),
        ...(index % 5 === 0 ? {} : { partition: index % 2 }),
      }),
    )
    const results = await Promise.allSettled(sent)
    await failureOf(producer.send({ topic: 'not a topic', value: 'v' }))
    producer.enqueue({ topic: 'orders', value: 7 as never }, () => undefined)
    await producer.flush()
    const failed = results.filter((result) => result.status === 'rejected').length
    const metrics = producer.metrics()
    expect(failed).toBeGreaterThan(0)
    expect(metrics.recordDeliveredTotal).toBe(300 - failed)
    expect(metrics.recordErrorTotal).toBe(failed + 2)
    expect(metrics.recordRetryTotal).toBeGreaterThan(0)
    expect(metrics.batchSplitTotal).toBeGreaterThan(0)
    expect(metrics.recordsPending).toBe(0)
    expect(metrics.requestsInFlight).toBe(0)
    const { orders } = metrics.topics
    expect(orders!.recordErrorTotal).toBeGreaterThanOrEqual(failed)
    expect(Object.keys(metrics.brokers)).toEqual(expect.arrayContaining(['1', '2']))
  })

  test('have no entry for a name that cannot be a topic', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.send({ topic: 'orders', value: 'v' })
    await failureOf(producer.send({ topic: 'not a topic', value: 'v' }))
    expect(Object.keys(producer.metrics().topics)).toEqual(['orders'])
  })

  test('count requests and bytes as the brokers do', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    for (const value of numbered('v', 10)) await producer.send({ topic: 'orders', value })
    const { requestTotal, responseTotal, recordSendTotal, brokers } = producer.metrics()
    expect(requestTotal).toBe(cluster.requests.all().length)
    expect(responseTotal).toBe(requestTotal)
    expect(recordSendTotal).toBe(10)
    expect(brokers['1']!.requestTotal).toBeGreaterThanOrEqual(10)
    expect(producer.metrics().connectionCreationTotal).toBe(cluster.connections.length)
  })

  test('show what waits', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, { batchSize: 4096, bufferMemory: 8192 })
    const sent = 'abcde'.split('').map((letter) => producer.send({ topic: 'orders', value: letter.repeat(3000) }))
    await cluster.untilSeen('Produce')
    expect(producer.metrics()).toMatchObject({ waitingThreads: 3, recordsPending: 5, requestsInFlight: 1 })
    gate.resolve()
    await Promise.all(sent)
    expect(producer.metrics()).toMatchObject({ waitingThreads: 0, recordsPending: 0, requestsInFlight: 0 })
  })

  test('are plain data that survive JSON', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.send({ topic: 'orders', value: 'v' })
    const metrics = producer.metrics()
    expect(JSON.parse(JSON.stringify(metrics))).toEqual(metrics)
  })
})

describe('health', () => {
  test('tells of success, of brokers, of trouble and of its end', async () => {
    const cluster = await stage.cluster({ brokers: 2, topics: { orders: 2 } })
    const producer = stage.producer(cluster)
    expect(producer.health()).toEqual({
      state: 'open',
      lastSuccessAt: null,
      lastError: null,
      fatalError: null,
      brokersKnown: 0,
      brokersReachable: 0,
      bufferUsed: 0,
      oldestUnsettledMs: 0,
    })
    const before = Date.now()
    await producer.sendMany([0, 1].map((partition) => ({ topic: 'orders', partition, value: 'v' })))
    expect(producer.health().lastSuccessAt).toBeGreaterThanOrEqual(before)
    expect(producer.health()).toMatchObject({ brokersKnown: 2, brokersReachable: 2 })
    await cluster.stopBroker(2)
    const stuck = failureOf(producer.send({ topic: 'orders', partition: 1, value: 'v' }))
    await cluster.untilSeen('Metadata', cluster.seen('Metadata').length + 1)
    expect(producer.health().brokersReachable).toBe(1)
    expect(producer.health().lastError).toMatchObject({ name: 'ConnectionError' })
    expect(producer.health().oldestUnsettledMs).toBeGreaterThan(0)
    await producer.close({ timeoutMs: 0 })
    expect(producer.health()).toMatchObject({ state: 'closed', bufferUsed: 0, oldestUnsettledMs: 0 })
    await stuck
  })
})

describe('the log', () => {
  test('never shows keys, values or headers', async () => {
    const cluster = await stage.cluster({ topics: { orders: { partitions: 1, maxMessageBytes: 300 } } })
    cluster.on('Produce', { nth: 2 }).error('NOT_ENOUGH_REPLICAS')
    cluster.on('Produce', { nth: 4 }).recordErrors({ 0: 'bad' })
    cluster.on('Produce', { nth: 5 }).appendThenDrop()
    const producer = stage.producer(cluster, { requestTimeoutMs: 100, deliveryTimeoutMs: 1000 })
    const secret = 'correct-horse'
    for (let index = 0; index < 20; index++) {
      producer.enqueue({ topic: 'orders', key: secret, value: `${secret} ${index}`, headers: { token: secret } })
      producer.enqueue({ topic: 'orders', key: secret, value: secret, headers: { token: 7 as never } })
      producer.enqueue({ topic: 'orders', value: { secret } as never })
    }
    producer.enqueue({ topic: 'orders', value: secret.repeat(100) })
    await producer.flush()
    const everything = stage.logs.map(({ fields, message }) => `${message} ${inspectDeep(fields)}`).join('\n')
    expect(stage.logs.length).toBeGreaterThan(0)
    expect(everything).not.toContain(secret)
  })

  test('says the same thing once, and counts', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    for (let index = 0; index < 500; index++) producer.enqueue({ topic: 'orders', value: 7 as never })
    await producer.flush()
    await producer.close()
    const lines = stage.logs.filter((line) => line.level === 'warn')
    expect(lines.length).toBeLessThanOrEqual(3)
    expect(lines.at(-1)!.message).toMatch(/499 times/)
  })

  test('that throws, or rejects, stops nothing', async () => {
    const cluster = await stage.cluster()
    const said = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const faulty = () => {
      throw new Error('the disk is full')
    }
    const rejecting = () => Promise.reject(new Error('the disk is full')) as never
    for (const log of [faulty, rejecting]) {
      const producer = stage.producer(cluster, { logger: { debug: log, info: log, warn: log, error: log } })
      producer.enqueue({ topic: 'orders', value: 7 as never })
      await producer.send({ topic: 'orders', value: 'v' })
      await producer.close()
    }
    expect(cluster.count('orders')).toBe(2)
    expect(said).toHaveBeenCalledTimes(2)
    said.mockRestore()
  })
})

/** Errors with their messages and causes too. */
function inspectDeep(value: unknown, depth = 0): string {
  if (typeof value !== 'object' || value === null || depth > 6) return String(value)
  const names = [...Object.getOwnPropertyNames(value)]
  return names.map((name) => `${name}=${inspectDeep((value as Record<string, unknown>)[name], depth + 1)}`).join(' ')
}
