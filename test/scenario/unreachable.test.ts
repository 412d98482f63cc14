// Nobody listening, names that do not resolve, topics that do not exist: what is said, when, and what happens once it is mended.
import { describe, expect, test } from 'vitest'
import { runChild } from './children/run.ts'
import { deferred, failureOf, useStage } from './stage.ts'

const stage = useStage()

/** A port on which nobody listens: one that was free a moment ago. */
async function silentAddress(): Promise<string> {
  const cluster = await stage.cluster()
  const address = cluster.address(1)
  await cluster.stopBroker(1)
  return address
}

describe('nobody listening', () => {
  test('connect rejects with BOOTSTRAP_FAILED and a line for each address', async () => {
    const addresses = [await silentAddress(), await silentAddress()]
    const producer = stage.producer(addresses.join(','), { maxBlockMs: 200 })
    const error = await failureOf(producer.connect())
    expect(error).toMatchObject({ name: 'ConnectionError', code: 'BOOTSTRAP_FAILED' })
    for (const address of addresses) expect(error.message).toContain(address)
    expect(error.message).toContain('ECONNREFUSED')
  })

  test('send fails after maxBlockMs with what was tried, and the record was not sent', async () => {
    const address = await silentAddress()
    const producer = stage.producer(address, { maxBlockMs: 80 })
    const error = await failureOf(producer.send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({ code: 'METADATA_TIMEOUT', persisted: 'no', topic: 'orders', retriable: true })
    expect(error.message).toContain(address)
  })

  test('the first address that works is enough', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(`${await silentAddress()},${cluster.address(1)}`)
    expect(await producer.send({ topic: 'orders', value: 'v' })).toMatchObject({ offset: 0 })
  })

  test('a broker that comes up in time gets what waited for it', async () => {
    const cluster = await stage.cluster()
    await cluster.stopBroker(1)
    const producer = stage.producer(cluster)
    const sent = producer.sendMany(['a', 'b', 'c'].map((value) => ({ topic: 'orders', value })))
    const refused = await failureOf(stage.producer(cluster, { maxBlockMs: 40 }).connect())
    expect(refused.code).toBe('BOOTSTRAP_FAILED')
    await cluster.startBroker(1)
    await sent
    expect(cluster.values('orders', 0)).toEqual(['a', 'b', 'c'])
  })

  test('a name that does not resolve is DNS_FAILED, with the name', async () => {
    const producer = stage.producer('no-such-host.invalid:9092', { maxBlockMs: 3000 })
    const error = await failureOf(producer.connect())
    expect(error.code).toBe('BOOTSTRAP_FAILED')
    expect(error.message).toContain('no-such-host.invalid')
    expect(error.message).toContain('DNS')
  })

  test('the constructor opens nothing', async () => {
    const cluster = await stage.cluster()
    stage.producer(cluster)
    await new Promise((resolve) => setImmediate(resolve))
    expect(cluster.connections).toHaveLength(0)
  })

  test('an IPv6 address works', async () => {
    const cluster = await stage.cluster({ topics: { orders: 1 }, host: '::1' })
    expect(cluster.bootstrapServers).toMatch(/^\[::1\]:\d+$/)
    expect(await stage.producer(cluster).send({ topic: 'orders', value: 'v' })).toMatchObject({ offset: 0 })
  })
})

describe('a topic that does not exist', () => {
  test('is waited for up to maxBlockMs; then send says so and suggests near names', async () => {
    const cluster = await stage.cluster({ topics: { orders: 1, 'orders-v2': 1, payments: 1 } })
    const producer = stage.producer(cluster, { maxBlockMs: 400 })
    const error = await failureOf(producer.send({ topic: 'ordres', value: 'v' }))
    expect(error).toMatchObject({
      code: 'UNKNOWN_TOPIC_OR_PARTITION',
      topic: 'ordres',
      persisted: 'no',
      retriable: true,
    })
    expect(error.message).toMatch(/waited \d+ ms.*maxBlockMs/)
    expect(error.hint).toContain('orders')
    expect(error.hint).not.toContain('payments')
  })

  test('that is created in time gets the records in order', async () => {
    const cluster = await stage.cluster({ topics: {} })
    const producer = stage.producer(cluster)
    const values = Array.from({ length: 500 }, (_, index) => `v-${index}`)
    const sent = Promise.all(values.map((value) => producer.send({ topic: 'orders', value })))
    await cluster.untilSeen('Metadata', 2)
    cluster.createTopic('orders', 1)
    await sent
    expect(cluster.values('orders', 0)).toEqual(values)
  })

  test('is created by asking for it where the cluster allows that', async () => {
    const cluster = await stage.cluster({ autoCreatePartitions: 2 })
    expect(await stage.producer(cluster).send({ topic: 'fresh', partition: 1, value: 'v' })).toMatchObject({
      partition: 1,
      offset: 0,
    })
  })

  test('does not hold up other topics', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { maxBlockMs: 5_000 })
    const controller = new AbortController()
    const stuck = producer.send({ topic: 'missing', value: 'v' }, { signal: controller.signal })
    expect(await producer.send({ topic: 'orders', value: 'v' })).toMatchObject({ offset: 0 })
    controller.abort()
    expect(await failureOf(stuck)).toMatchObject({ code: 'ABORTED' })
  })

  test('that may not be seen fails at once with TOPIC_AUTHORIZATION_FAILED, and works once it may', async () => {
    const cluster = await stage.cluster()
    cluster.on('Metadata', { topic: 'orders' }).error('TOPIC_AUTHORIZATION_FAILED')
    const producer = stage.producer(cluster)
    const error = await failureOf(producer.send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({
      name: 'AuthenticationError',
      code: 'TOPIC_AUTHORIZATION_FAILED',
      topic: 'orders',
      persisted: 'no',
      fatal: false,
    })
    expect(await producer.send({ topic: 'orders', value: 'w' })).toMatchObject({ offset: 0 })
  })

  test('many first records of many topics share one Metadata request', async () => {
    const names = Array.from({ length: 50 }, (_, index) => `topic-${index}`)
    const cluster = await stage.cluster({ topics: Object.fromEntries(names.map((name) => [name, 1])) })
    const producer = stage.producer(cluster)
    await Promise.all(names.map((topic) => producer.send({ topic, value: 'v' })))
    expect(cluster.seen('Metadata', (request) => request.topics.length > 0)).toHaveLength(1)
  })
})

describe('a process', () => {
  test('with nothing pending ends by itself, without close', async () => {
    const cluster = await stage.cluster()
    const child = await runChild('no-close.ts', [cluster.bootstrapServers, 'await'])
    expect(child).toMatchObject({ code: 0, stdout: 'sent to orders 0 offset 0\n', stderr: '' })
  })

  test('that only made a producer ends by itself', async () => {
    const cluster = await stage.cluster()
    expect(await runChild('no-close.ts', [cluster.bootstrapServers, 'nothing'])).toMatchObject({ code: 0, stderr: '' })
    expect(cluster.connections).toHaveLength(0)
  })

  test('with records pending stays until they are settled', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    cluster.on('Metadata').error('UNKNOWN_TOPIC_OR_PARTITION')
    const child = runChild('no-close.ts', [cluster.bootstrapServers, 'enqueue'])
    await cluster.untilSeen('Produce')
    gate.resolve()
    expect(await child).toMatchObject({ code: 0, stdout: 'sent to orders 0 offset 0\n', stderr: '' })
  })
})
