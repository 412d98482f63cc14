import { describe, expect, test } from 'vitest'
import type { ProducerOptions } from '../../src/index.ts'
import { deferred } from '../support/fake-cluster/deferred.ts'
import { failureOf, turns, until, useStand, watch } from '../support/stand.ts'

const stand = useStand()
const timeouts: Partial<ProducerOptions> = { deliveryTimeoutMs: 10_000, requestTimeoutMs: 10_000, maxBlockMs: 4_000 }

describe('partitionsFor', () => {
  test('tells everything that is known of each partition, in order', async () => {
    const cluster = await stand.cluster({ brokers: 3, topics: { orders: { partitions: 3, replicationFactor: 2 } } })
    cluster.setLeader('orders', 2, -1)
    const partitions = await stand.settled(stand.producer(cluster).partitionsFor('orders'))
    expect(partitions.map(({ topic, partition }) => [topic, partition])).toEqual([
      ['orders', 0],
      ['orders', 1],
      ['orders', 2],
    ])
    for (const { leader, replicas, inSyncReplicas, offlineReplicas } of partitions.slice(0, 2)) {
      expect(replicas).toHaveLength(2)
      expect(replicas).toContain(leader)
      expect(inSyncReplicas).toEqual(expect.arrayContaining([leader]))
      expect(offlineReplicas).toEqual([])
    }
    expect(partitions[2]?.leader).toBe(-1)
  })

  test('asks the cluster once for callers at the same time, and not again for later ones', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    await stand.settled(Promise.all([1, 2, 3].map(() => producer.partitionsFor('orders'))))
    await producer.partitionsFor('orders')
    expect(cluster.seen('Metadata', ({ topics }) => topics.includes('orders'))).toHaveLength(1)
  })

  test('resolves at once for a topic that records have made known', async () => {
    const cluster = await stand.cluster({ topics: { orders: 2 } })
    const producer = await stand.warm(cluster)
    const count = cluster.seen('Metadata').length
    expect(await producer.partitionsFor('orders')).toHaveLength(2)
    expect(cluster.seen('Metadata')).toHaveLength(count)
  })

  test('sees partitions that were added, after the next metadata', async () => {
    const cluster = await stand.cluster({ topics: { orders: 1 } })
    const producer = stand.producer(cluster, { metadataMaxAgeMs: 1_000 })
    expect(await stand.settled(producer.partitionsFor('orders'))).toHaveLength(1)
    cluster.addPartitions('orders', 3)
    await stand.pass(1_500)
    expect(await producer.partitionsFor('orders')).toHaveLength(4)
  })

  test('waits for a topic that is about to be created', async () => {
    const cluster = await stand.cluster({ topics: {} })
    const producer = stand.producer(cluster, timeouts)
    const asked = watch(producer.partitionsFor('orders'))
    await stand.pass(2_000)
    expect(asked.state).toBe('pending')
    cluster.createTopic('orders', 2)
    await stand.pass(1_200)
    expect(asked.value).toHaveLength(2)
  })

  test('of a topic that does not exist rejects after maxBlockMs with the word of the cluster and near names', async () => {
    const cluster = await stand.cluster({ topics: { orders: 1 } })
    const producer = stand.producer(cluster, timeouts)
    const asked = watch(producer.partitionsFor('odrers'))
    await stand.pass(3_999)
    expect(asked.state).toBe('pending')
    await stand.pass(1)
    expect(asked.error).toMatchObject({
      code: 'UNKNOWN_TOPIC_OR_PARTITION',
      topic: 'odrers',
      retriable: true,
      elapsedMs: 4_000,
      hint: expect.stringContaining('orders'),
    })
    expect(asked.error?.message).toContain('(waited 4000 ms, maxBlockMs)')
  })

  test('without a cluster rejects after maxBlockMs with METADATA_TIMEOUT, and is not what keeps it asking', async () => {
    const producer = stand.producer(null, timeouts)
    const asked = watch(producer.partitionsFor('orders'))
    await stand.pass(4_000)
    expect(asked.error).toMatchObject({ code: 'METADATA_TIMEOUT', topic: 'orders', retriable: true })
    await stand.pass(60_000, 1_000)
    expect(stand.clock.keepAliveCount).toBe(0)
  })

  test('that gives up leaves alone another one that goes on waiting for the same topic', async () => {
    const cluster = await stand.cluster({ topics: {} })
    const producer = stand.producer(cluster, timeouts)
    const first = watch(producer.partitionsFor('orders'))
    await stand.pass(3_000)
    const second = watch(producer.partitionsFor('orders'))
    await stand.pass(1_500)
    expect([first.error?.code, second.state]).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', 'pending'])
    cluster.createTopic('orders', 1)
    await stand.pass(1_500)
    expect(second.value).toHaveLength(1)
  })

  test('goes on waiting when the records that wait for the same topic give up', async () => {
    const cluster = await stand.cluster({ topics: {} })
    const producer = stand.producer(cluster, timeouts)
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    await stand.pass(3_000)
    const asked = watch(producer.partitionsFor('orders'))
    await stand.pass(1_500)
    expect([sent.error?.code, asked.state]).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', 'pending'])
    cluster.createTopic('orders', 1)
    await stand.pass(1_500)
    expect(asked.value).toHaveLength(1)
  })

  test('that gives up leaves alone the records that wait for the same topic', async () => {
    const cluster = await stand.cluster({ topics: {} })
    const producer = stand.producer(cluster, timeouts)
    const asked = watch(producer.partitionsFor('orders'))
    await stand.pass(3_000)
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    await stand.pass(1_500)
    expect([asked.error?.code, sent.state]).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', 'pending'])
    cluster.createTopic('orders', 1)
    await stand.pass(1_500)
    expect(sent.value).toMatchObject({ offset: 0 })
  })

  test.each(['TOPIC_AUTHORIZATION_FAILED', 'INVALID_TOPIC_EXCEPTION'])('rejects at once with %s', async (code) => {
    const cluster = await stand.cluster()
    cluster.on('Metadata', { topic: 'orders' }).error(code)
    const producer = stand.producer(cluster, timeouts)
    expect(await failureOf(producer.partitionsFor('orders'))).toMatchObject({ code, topic: 'orders' })
    // The right was granted: the next one asks anew.
    expect(await stand.settled(producer.partitionsFor('orders'))).toHaveLength(1)
  })

  test('keeps the process alive while it waits, and no longer', async () => {
    const cluster = await stand.cluster()
    const gate = deferred()
    cluster.on('Metadata', { topic: 'orders' }).delay(gate.promise)
    const producer = stand.producer(cluster)
    const asked = producer.partitionsFor('orders')
    expect(stand.clock.keepAliveCount).toBeGreaterThan(0)
    await cluster.untilSeen('Metadata')
    await turns(5)
    expect(stand.clock.keepAliveCount).toBeGreaterThan(0)
    gate.resolve()
    await asked
    await until(() => stand.clock.keepAliveCount === 0, 'nothing to keep the process alive')
  })
})
