// The cluster changes under a running producer: brokers move and die, topics grow, vanish and come back.
import { describe, expect, test } from 'vitest'
import { NO_FAULTS } from '../support/fake-cluster/verify.ts'
import { aWhile, deferred, failureOf, numbered, turns, useStage } from './stage.ts'

const stage = useStage()

describe('a broker', () => {
  test('that restarts on the same port gets the rest', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { batchSize: 300 })
    await producer.send({ topic: 'orders', value: 'first' })
    const values = numbered('v', 200)
    const sent = producer.sendMany(values.map((value) => ({ topic: 'orders', value })))
    await cluster.untilSeen('Produce', 3)
    await cluster.stopBroker(1)
    await cluster.startBroker(1)
    await sent
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
  })

  test('that comes back on another port is found there', async () => {
    const cluster = await stage.cluster({ brokers: 2, topics: { orders: 2 } })
    const producer = stage.producer(cluster)
    await producer.sendMany([0, 1].map((partition) => ({ topic: 'orders', partition, value: 'first' })))
    await cluster.stopBroker(2)
    await cluster.startBroker(2, { onNewPort: true })
    expect(await producer.send({ topic: 'orders', partition: 1, value: 'second' })).toMatchObject({ offset: 1 })
  })

  test('that resets its connections gets new ones', async () => {
    const cluster = await stage.cluster({ brokers: 2, topics: { orders: 2 } })
    const producer = stage.producer(cluster)
    for (const value of numbered('v', 5)) {
      await producer.sendMany([0, 1].map((partition) => ({ topic: 'orders', partition, value })))
      cluster.resetConnections()
    }
    expect(cluster.count('orders')).toBe(10)
  })

  test('that ends an idle connection is no error: the next send opens another, and nothing is logged above info', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.resetConnections()
    await cluster.until(() => cluster.openConnections.length === 0, 'the connections to end')
    await turns()
    expect(await producer.send({ topic: 'orders', value: 'second' })).toMatchObject({ offset: 1 })
    expect(stage.logs.filter((line) => line.level === 'warn' || line.level === 'error')).toEqual([])
  })

  test('that is not used for connectionsMaxIdleMs is left alone: its connections close without a warning, and open again', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { connectionsMaxIdleMs: 40 })
    await producer.send({ topic: 'orders', value: 'first' })
    await cluster.until(() => cluster.openConnections.length === 0, 'idle connections to close')
    expect(await producer.send({ topic: 'orders', value: 'second' })).toMatchObject({ offset: 1 })
    expect(stage.logs.filter((line) => line.level === 'warn' || line.level === 'error')).toEqual([])
  })

  test('that says NOT_LEADER while metadata says it is: metadata is asked for again with back-off, not in a storm', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { retryBackoffMs: 10, retryBackoffMaxMs: 40 })
    await producer.send({ topic: 'orders', value: 'first' })
    const asked = cluster.seen('Metadata').length
    cluster.on('Produce', { times: 8 }).error('NOT_LEADER_OR_FOLLOWER')
    expect(await producer.send({ topic: 'orders', value: 'second' })).toMatchObject({ offset: 1 })
    expect(cluster.seen('Metadata').length - asked).toBeGreaterThan(0)
    expect(cluster.seen('Metadata').length - asked).toBeLessThanOrEqual(10)
  })

  test('can be reached at another address by brokerAddressMapper', async () => {
    const cluster = await stage.cluster()
    const [host, port] = cluster.address(1).split(':')
    cluster.advertise(1, 'kafka-1.internal.invalid', 9092)
    const asked: unknown[] = []
    const producer = stage.producer(cluster, {
      brokerAddressMapper: (...address) => {
        asked.push(address)
        return { host: host!, port: Number(port) }
      },
    })
    expect(await producer.send({ topic: 'orders', value: 'v' })).toMatchObject({ offset: 0 })
    expect(asked).toContainEqual(['kafka-1.internal.invalid', 9092, 1])
  })

  test('whose advertised address does not resolve is named in the error', async () => {
    const cluster = await stage.cluster()
    cluster.advertise(1, 'kafka-1.internal.invalid', 9092)
    const producer = stage.producer(cluster, { requestTimeoutMs: 500, deliveryTimeoutMs: 1500 })
    const error = await failureOf(producer.send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({ code: 'DELIVERY_TIMEOUT', persisted: 'no' })
    expect(error.message + String(error.cause)).toContain('kafka-1.internal.invalid')
  })
})

describe('all brokers', () => {
  test('restart one after the other while records flow: each arrives once and in order', async () => {
    const cluster = await stage.cluster({ brokers: 3, topics: { orders: 6 } })
    const producer = stage.producer(cluster, { batchSize: 500 })
    const sent = Array.from({ length: 6 }, (_, partition) => ({ topic: 'orders', partition, values: [] as string[] }))
    const results: Promise<unknown>[] = []
    const sendSome = (round: string) => {
      for (const [index, value] of numbered(round, 120).entries()) {
        const partition = index % 6
        sent[partition]!.values.push(value)
        results.push(producer.send({ topic: 'orders', partition, value }))
      }
    }
    for (const nodeId of [1, 2, 3]) {
      sendSome(`before ${nodeId}`)
      await turns(2)
      await cluster.stopBroker(nodeId)
      for (const { partition } of sent) {
        if (cluster.topics.partition('orders', partition).leader === nodeId)
          cluster.setLeader('orders', partition, (nodeId % 3) + 1)
      }
      sendSome(`while ${nodeId} is down`)
      await turns(2)
      await cluster.startBroker(nodeId)
    }
    await Promise.all(results)
    expect(cluster.verify(sent)).toEqual(NO_FAULTS)
  })

  test('are replaced by others: the bootstrap addresses are asked again', async () => {
    const cluster = await stage.cluster({ brokers: 3, topics: { orders: 1 } })
    const producer = stage.producer(cluster.address(3), { retryBackoffMaxMs: 20 })
    cluster.hideBroker(3)
    await producer.send({ topic: 'orders', value: 'first' })
    // Brokers 1 and 2 were all that it knew; now only the seed is left.
    await cluster.stopBroker(1)
    await cluster.stopBroker(2)
    cluster.hideBroker(3, false)
    cluster.setLeader('orders', 0, 3)
    expect(await producer.send({ topic: 'orders', value: 'second' })).toMatchObject({ offset: 1 })
  })

  test('say REBOOTSTRAP_REQUIRED: it begins again at the bootstrap addresses', async () => {
    const cluster = await stage.cluster({ topics: { orders: 1, other: 1 } })
    const producer = stage.producer(cluster)
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Metadata').edit((response) => ({ ...response, errorCode: 129, topics: [] }))
    expect(await producer.send({ topic: 'other', value: 'v' })).toMatchObject({ offset: 0 })
    expect(await producer.send({ topic: 'orders', value: 'second' })).toMatchObject({ offset: 1 })
  })
})

describe('a topic', () => {
  test('that gets more partitions: keyed records use them from then on', async () => {
    const cluster = await stage.cluster({ topics: { orders: 1 } })
    const producer = stage.producer(cluster, { metadataMaxAgeMs: 20 })
    await producer.send({ topic: 'orders', key: 'k', value: 'first' })
    cluster.addPartitions('orders', 7)
    const asked = cluster.seen('Metadata').length
    await cluster.until(
      () => cluster.seen('Metadata')[asked + 1]?.outcome === 'answered',
      'metadata with the new partitions',
    )
    const results = await producer.sendMany(numbered('key', 100).map((key) => ({ topic: 'orders', key, value: 'v' })))
    expect(new Set(results.map((result) => result.partition)).size).toBe(8)
    expect(await producer.partitionsFor('orders')).toHaveLength(8)
  })

  test('that vanishes from metadata for a while loses nothing', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { metadataMaxAgeMs: 20 })
    const values = numbered('v', 300)
    await producer.send({ topic: 'orders', value: values[0]! })
    cluster.hideTopic('orders')
    const sent: Promise<unknown>[] = []
    for (const value of values.slice(1, 150)) sent.push(producer.send({ topic: 'orders', value }))
    await cluster.untilSeen('Metadata', cluster.seen('Metadata').length + 2)
    for (const value of values.slice(150)) sent.push(producer.send({ topic: 'orders', value }))
    cluster.hideTopic('orders', false)
    await Promise.all(sent)
    expect(cluster.values('orders', 0)).toEqual(values)
  })

  test.each([
    ['with topic ids', {}],
    ['by name', { Produce: 12 }],
  ])(
    'that is deleted and made again with fewer partitions and younger leaders goes on, %s',
    async (_name, versions) => {
      const cluster = await stage.cluster({ topics: { orders: 4 }, versions })
      const producer = stage.producer(cluster, { batchSize: 100, retryBackoffMaxMs: 20, maxBlockMs: 200 })
      for (const partition of [0, 1, 2, 3]) cluster.setLeader('orders', partition, 1)
      const send = (value: string) => numbered('key', 40).map((key) => producer.send({ topic: 'orders', key, value }))
      await Promise.all(send('old'))
      cluster.deleteTopic('orders')
      cluster.createTopic('orders', 2)
      const values = numbered('v', 40)
      const placed = values.map((value, index) => producer.send({ topic: 'orders', partition: index % 2, value }))
      await Promise.all(placed)
      expect(cluster.values('orders', 0)).toEqual(values.filter((_, index) => index % 2 === 0))
      expect(cluster.values('orders', 1)).toEqual(values.filter((_, index) => index % 2 === 1))
      // By name nothing has told yet that partitions are gone: records that were given one of them fail, once that is known for sure.
      for (const result of await Promise.allSettled(send('between'))) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ topic: 'orders', persisted: 'no' })
        else expect(result.value.partition).toBeLessThan(2)
      }
      for (const { partition } of await Promise.all(send('new'))) expect(partition).toBeLessThan(2)
    },
  )

  test('that is made again while nothing is sent: its leader knows nothing of us, and one batch flies until it has accepted', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { batchSize: 200, metadataMaxAgeMs: 20 })
    await producer.sendMany(numbered('old', 20).map((value) => ({ topic: 'orders', value })))
    cluster.deleteTopic('orders')
    cluster.createTopic('orders', 1)
    const asked = cluster.seen('Metadata').length
    await cluster.until(() => cluster.seen('Metadata')[asked + 1]?.outcome === 'answered', 'metadata of the new topic')
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const produced = cluster.seen('Produce').length
    const values = numbered('new', 40).map((name) => name.padEnd(60, '.'))
    const sent = producer.sendMany(values.map((value) => ({ topic: 'orders', value })))
    await cluster.untilSeen('Produce', produced + 1)
    await aWhile()
    expect(cluster.seen('Produce')).toHaveLength(produced + 1)
    gate.resolve()
    await sent
    expect(cluster.values('orders', 0)).toEqual(values)
  })

  test('with a partition that has no leader: the others go on, keyless records go round it', async () => {
    const cluster = await stage.cluster({ topics: { orders: 3 } })
    cluster.setLeader('orders', 1, -1)
    const producer = stage.producer(cluster)
    const results = await producer.sendMany(numbered('v', 50).map((value) => ({ topic: 'orders', value })))
    expect(results.every((result) => result.partition !== 1)).toBe(true)
  })

  test('whose metadata lacks a partition for once keeps the records for it', async () => {
    const cluster = await stage.cluster({ topics: { orders: 3 } })
    const producer = stage.producer(cluster, { metadataMaxAgeMs: 20 })
    await producer.send({ topic: 'orders', partition: 2, value: 'first' })
    const fault = cluster.on('Metadata', { topic: 'orders', partition: 2 }).omitPartition()
    await fault.hit
    await cluster.untilSeen('Metadata', cluster.seen('Metadata').length + 1)
    expect(await producer.send({ topic: 'orders', partition: 2, value: 'second' })).toMatchObject({ offset: 1 })
  })
})
