// What `partitionsFor` promises, sentence by sentence.
import { describe, expect, test } from 'vitest'
import { failureOf, useStage } from './stage.ts'

const stage = useStage()

describe('partitionsFor', () => {
  test('answers topic, partition, leader and replicas, by partition', async () => {
    const cluster = await stage.cluster({ brokers: 3, topics: { orders: { partitions: 4, replicationFactor: 2 } } })
    cluster.topics.partition('orders', 1).inSyncReplicas = [2]
    cluster.setLeader('orders', 3, -1)
    // In no order, as Kafka may answer.
    cluster.on('Metadata').edit((response) => ({
      ...response,
      topics: response.topics.map((topic) => ({ ...topic, partitions: [...topic.partitions].reverse() })),
    }))
    expect(await stage.producer(cluster).partitionsFor('orders')).toEqual([
      { topic: 'orders', partition: 0, leader: 1, replicas: [1, 2], inSyncReplicas: [1, 2], offlineReplicas: [] },
      { topic: 'orders', partition: 1, leader: 2, replicas: [2, 3], inSyncReplicas: [2], offlineReplicas: [] },
      { topic: 'orders', partition: 2, leader: 3, replicas: [3, 1], inSyncReplicas: [3, 1], offlineReplicas: [] },
      { topic: 'orders', partition: 3, leader: -1, replicas: [1, 2], inSyncReplicas: [1, 2], offlineReplicas: [] },
    ])
  })

  test('waits for a topic that comes into being', async () => {
    const cluster = await stage.cluster({ topics: {} })
    const partitions = stage.producer(cluster).partitionsFor('orders')
    await cluster.untilSeen('Metadata', 2)
    cluster.createTopic('orders', 2)
    expect(await partitions).toHaveLength(2)
  })

  test('creates the topic where the cluster allows it', async () => {
    const cluster = await stage.cluster({ autoCreatePartitions: 3 })
    expect(await stage.producer(cluster).partitionsFor('fresh')).toHaveLength(3)
  })

  test('does not create it with allowAutoTopicCreation: false', async () => {
    const cluster = await stage.cluster({ autoCreatePartitions: 3 })
    const producer = stage.producer(cluster, { allowAutoTopicCreation: false, maxBlockMs: 500 })
    expect(await failureOf(producer.partitionsFor('fresh'))).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
    expect(cluster.topics.find('fresh')).toBeUndefined()
    expect(cluster.seen('Metadata').every((request) => !request.request.allowAutoTopicCreation)).toBe(true)
  })

  test('waits up to maxBlockMs, says so and suggests near names', async () => {
    const cluster = await stage.cluster({ topics: { orders: 1, payments: 1 } })
    const error = await failureOf(stage.producer(cluster, { maxBlockMs: 500 }).partitionsFor('ordres'))
    expect(error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION', topic: 'ordres', retriable: true })
    expect(error.message).toMatch(/waited \d+ ms.*maxBlockMs/)
    expect(error.hint).toContain('orders')
    expect(error.hint).not.toContain('payments')
  })

  test('says that no broker answered when none did', async () => {
    const cluster = await stage.cluster()
    await cluster.stopBroker(1)
    const error = await failureOf(stage.producer(cluster, { maxBlockMs: 500 }).partitionsFor('orders'))
    expect(error.code).toBe('METADATA_TIMEOUT')
    expect(error.message).toContain('orders')
    expect(error.message).toContain(cluster.address(1))
  })

  test('fails at once where waiting cannot help: a forbidden topic, or a name that Kafka forbids', async () => {
    const cluster = await stage.cluster()
    cluster.on('Metadata', { topic: 'secret', times: Number.POSITIVE_INFINITY }).error('TOPIC_AUTHORIZATION_FAILED')
    const producer = stage.producer(cluster)
    expect(await failureOf(producer.partitionsFor('secret'))).toMatchObject({
      name: 'AuthenticationError',
      code: 'TOPIC_AUTHORIZATION_FAILED',
      topic: 'secret',
    })
    expect(await failureOf(producer.partitionsFor('not a topic'))).toMatchObject({ code: 'INVALID_TOPIC_EXCEPTION' })
    expect(await failureOf(producer.partitionsFor(7 as never))).toMatchObject({ code: 'INVALID_TOPIC_EXCEPTION' })
  })

  test('asks once for what it knows already', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await Promise.all([producer.partitionsFor('orders'), producer.partitionsFor('orders')])
    await producer.partitionsFor('orders')
    expect(cluster.seen('Metadata', (request) => request.topics.includes('orders'))).toHaveLength(1)
  })

  test('gives an array of its own each time', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const first = await producer.partitionsFor('orders')
    first.length = 0
    expect(await producer.partitionsFor('orders')).toHaveLength(1)
  })
})
