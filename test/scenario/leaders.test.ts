// Leaders that move while records are on their way: by hint, by metadata, half a request, to a dead broker, to nobody.
import { describe, expect, test } from 'vitest'
import type { OfferedVersions } from '../support/fake-cluster/apis.ts'
import { NO_FAULTS } from '../support/fake-cluster/verify.ts'
import { aWhile, deferred, numbered, useStage } from './stage.ts'

const smallBatches = { batchSize: 200 }
const padded = (prefix: string, count: number) => numbered(prefix, count).map((name) => name.padEnd(60, '.'))

const stage = useStage()

describe('a leader moves', () => {
  const moved = async (versions: OfferedVersions, brokers = 2) => {
    const cluster = await stage.cluster({ brokers, topics: { orders: 1 }, versions })
    const producer = stage.producer(cluster, smallBatches)
    await producer.send({ topic: 'orders', value: 'first' })
    return { cluster, producer }
  }

  test.each<[string, OfferedVersions]>([
    ['by the hint in the answer (v10 and later)', {}],
    ['by new metadata (v9)', { Produce: 9 }],
  ])('and the records follow in order, %s', async (_name, versions) => {
    const { cluster, producer } = await moved(versions)
    const gate = deferred()
    cluster.on('Produce', { broker: 1 }).delay(gate.promise)
    const values = padded('v', 60)
    const sent = values.map((value) => producer.send({ topic: 'orders', value }))
    await cluster.untilSeen('Produce', 6)
    const metadataBefore = cluster.seen('Metadata').length
    cluster.setLeader('orders', 0, 2)
    gate.resolve()
    await Promise.all(sent)
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
    expect(cluster.seen('Produce', (request) => request.broker === 2).length).toBeGreaterThan(0)
    if (versions.Produce === 9) expect(cluster.seen('Metadata').length).toBeGreaterThan(metadataBefore)
  })

  test('and the hint is followed without asking for metadata first', async () => {
    const { cluster, producer } = await moved({})
    const gate = deferred()
    cluster.setLeader('orders', 0, 2)
    cluster.on('Metadata', { times: Number.POSITIVE_INFINITY }).delay(gate.promise)
    expect(await producer.send({ topic: 'orders', value: 'v' })).toMatchObject({ offset: 1 })
    gate.resolve()
  })

  test('twice, and back', async () => {
    const { cluster, producer } = await moved({}, 3)
    const values: string[] = []
    for (const leader of [2, 3, 1, 2]) {
      const more = padded(`leader ${leader}`, 20).map((value) => `${values.length} ${value}`)
      values.push(...more)
      const sent = more.map((value) => producer.send({ topic: 'orders', value }))
      cluster.setLeader('orders', 0, leader)
      await Promise.all(sent)
    }
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
  })

  test('for half the partitions of a request', async () => {
    const cluster = await stage.cluster({ brokers: 2, topics: { orders: 4 } })
    for (const partition of [0, 1, 2, 3]) cluster.setLeader('orders', partition, 1)
    const producer = stage.producer(cluster)
    const records = Array.from({ length: 40 }, (_, index) => ({
      topic: 'orders',
      partition: index % 4,
      value: `v-${index}`,
    }))
    await producer.sendMany(records.slice(0, 4))
    for (const partition of [1, 3]) cluster.setLeader('orders', partition, 2)
    await producer.sendMany(records.slice(4))
    const sent = [0, 1, 2, 3].map((partition) => ({
      topic: 'orders',
      partition,
      values: records.filter((record) => record.partition === partition).map((record) => record.value),
    }))
    expect(cluster.verify(sent)).toEqual(NO_FAULTS)
  })

  test('while a request is on its way to the old one: nothing goes to the new one before its answer or its end', async () => {
    const cluster = await stage.cluster({ brokers: 2, topics: { orders: 1 } })
    const producer = stage.producer(cluster, { metadataMaxAgeMs: 20 })
    await producer.send({ topic: 'orders', value: 'first' })
    const gate = deferred()
    cluster.on('Produce', { broker: 1 }).delayAnswer(gate.promise)
    const flying = producer.send({ topic: 'orders', value: 'flying' })
    await cluster.untilSeen('Produce', 2)
    cluster.setLeader('orders', 0, 2)
    const asked = cluster.seen('Metadata').length
    await cluster.until(
      () => cluster.seen('Metadata')[asked + 1]?.outcome === 'answered',
      'metadata that tells of the new leader',
    )
    const behind = producer.send({ topic: 'orders', value: 'behind' })
    await aWhile()
    expect(cluster.seen('Produce', (request) => request.broker === 2)).toHaveLength(0)
    gate.resolve()
    await Promise.all([flying, behind])
    expect(cluster.values('orders', 0)).toEqual(['first', 'flying', 'behind'])
    expect(cluster.batches('orders', 0).map((batch) => batch.broker)).toEqual([1, 1, 2])
  })

  test('and the old one is dead', async () => {
    const { cluster, producer } = await moved({})
    await cluster.stopBroker(1)
    cluster.setLeader('orders', 0, 2)
    const values = padded('v', 40)
    await Promise.all(values.map((value) => producer.send({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
  })

  test('to nobody for a while: the records wait for the next one', async () => {
    const { cluster, producer } = await moved({})
    cluster.setLeader('orders', 0, -1)
    const sent = producer.send({ topic: 'orders', value: 'v' })
    await cluster.untilSeen('Metadata', 3)
    cluster.setLeader('orders', 0, 2)
    expect(await sent).toMatchObject({ offset: 1 })
  })

  test('and metadata with an older leader epoch is not believed', async () => {
    const cluster = await stage.cluster({ brokers: 2, topics: { orders: 1 } })
    const producer = stage.producer(cluster, { metadataMaxAgeMs: 20 })
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.setLeader('orders', 0, 2)
    await producer.send({ topic: 'orders', value: 'a' })
    const toOldLeader = () => cluster.seen('Produce', (request) => request.broker === 1).length
    const before = toOldLeader()
    const stale = cluster.on('Metadata').edit((response) => ({
      ...response,
      topics: response.topics.map((topic) => ({
        ...topic,
        partitions: topic.partitions.map((partition) => ({ ...partition, leaderId: 1, leaderEpoch: 0 })),
      })),
    }))
    await stale.hit
    await cluster.untilSeen('Metadata', cluster.seen('Metadata').length + 1)
    await producer.send({ topic: 'orders', value: 'b' })
    expect(toOldLeader()).toBe(before)
    expect(cluster.values('orders', 0)).toEqual(['first', 'a', 'b'])
  })
})
