// Old brokers and new ones, and those that are odd: versions are agreed for each connection, never taken for granted.
import { describe, expect, test } from 'vitest'
import type { OfferedVersions } from '../support/fake-cluster/apis.ts'
import { failureOf, numbered, useStage } from './stage.ts'

const stage = useStage()

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index)

/** Sends through keys, headers, several partitions and a retry, and says which version each API was spoken at. */
async function spoken(versions: OfferedVersions) {
  const cluster = await stage.cluster({ brokers: 2, topics: { orders: 3 }, versions })
  const producer = stage.producer(cluster)
  cluster.on('Produce', { nth: 2 }).error('NOT_ENOUGH_REPLICAS')
  const values = numbered('v', 60)
  for (const some of [values.slice(0, 6), values.slice(6)]) {
    await producer.sendMany(
      some.map((value, index) => ({ topic: 'orders', partition: index % 3, key: 'k', value, headers: { h: value } })),
    )
  }
  for (const partition of [0, 1, 2]) {
    const expected = [...values.slice(0, 6), ...values.slice(6)].filter(
      (_, index) => (index < 6 ? index : index - 6) % 3 === partition,
    )
    expect(cluster.values('orders', partition)).toEqual(expected)
  }
  const highest = (api: 'Produce' | 'Metadata' | 'InitProducerId' | 'ApiVersions') => cluster.seen(api).at(-1)?.version
  return {
    produce: highest('Produce'),
    metadata: highest('Metadata'),
    initProducerId: highest('InitProducerId'),
    apiVersions: highest('ApiVersions'),
    cluster,
  }
}

describe('every version of', () => {
  test.each(range(3, 13))('Produce: v%i', async (version) => {
    expect(await spoken({ Produce: version })).toMatchObject({ produce: version })
  })

  test.each(range(0, 13))('Metadata: v%i', async (version) => {
    const { metadata, produce } = await spoken({ Metadata: version })
    expect(metadata).toBe(version)
    // Topic ids are told from Metadata v10 on, and Produce v13 needs them.
    expect(produce).toBe(version >= 10 ? 13 : 12)
  })

  test.each(range(0, 5))('InitProducerId: v%i', async (version) => {
    expect(await spoken({ InitProducerId: version })).toMatchObject({ initProducerId: version })
  })

  test.each(range(0, 4))('ApiVersions: v%i, found by asking', async (version) => {
    const { apiVersions, cluster } = await spoken({ ApiVersions: version })
    expect(apiVersions).toBe(version)
    const first = cluster.seen('ApiVersions', (request) => request.connection === 0).map((request) => request.version)
    expect(first).toEqual(version === 4 ? [4] : [4, version])
  })
})

describe('the versions of', () => {
  test.each<[string, OfferedVersions]>([
    [
      'Kafka 2.1',
      { Produce: { min: 0, max: 7 }, Metadata: { min: 0, max: 7 }, InitProducerId: 1, ApiVersions: 2, CreateTopics: 3 },
    ],
    ['Kafka 2.8', { Produce: { min: 0, max: 9 }, Metadata: { min: 0, max: 11 }, InitProducerId: 4, ApiVersions: 3 }],
    ['Kafka 3.9', { Produce: 11, Metadata: 12, InitProducerId: 5, ApiVersions: 4 }],
    ['Kafka 4.0', { Produce: 12, Metadata: 13, InitProducerId: 5, ApiVersions: 4 }],
    ['Kafka 4.1', {}],
  ])('%s', async (_name, versions) => {
    await spoken(versions)
  })
})

describe('a broker that', () => {
  test('resets the connection on ApiVersions v4 is asked at v3', async () => {
    const cluster = await stage.cluster()
    cluster
      .on('ApiVersions', { times: Number.POSITIVE_INFINITY, where: (request) => request.version === 4 })
      .dropBefore()
    expect(await stage.producer(cluster).send({ topic: 'orders', value: 'v' })).toMatchObject({ offset: 0 })
  })

  test('offers Produce v13 and tells no topic ids is spoken to by name', async () => {
    const cluster = await stage.cluster()
    cluster.on('Metadata', { times: Number.POSITIVE_INFINITY }).edit((response) => ({
      ...response,
      topics: response.topics.map((topic) => ({ ...topic, topicId: new Uint8Array(16) })),
    }))
    expect(await stage.producer(cluster).send({ topic: 'orders', value: 'v' })).toMatchObject({ offset: 0 })
    expect(cluster.seen('Produce')[0]!.version).toBe(12)
  })

  test('is too old is named, with what both sides speak', async () => {
    const cluster = await stage.cluster({ topics: { orders: 1 }, versions: { Produce: 2 } })
    const producer = stage.producer(cluster, { requestTimeoutMs: 300, deliveryTimeoutMs: 900 })
    const error = await failureOf(producer.send({ topic: 'orders', value: 'v' }))
    const story = `${error.code} ${error.message} ${String(error.cause)}`
    expect(story).toContain('UNSUPPORTED_VERSION')
    expect(story).toMatch(/Produce.*0 to 2.*3 to 13/)
    expect(error.persisted).toBe('no')
  })

  test('has no InitProducerId cannot take an idempotent producer, and takes one without', async () => {
    const cluster = await stage.cluster({ topics: { orders: 1 }, versions: { InitProducerId: null } })
    const producer = stage.producer(cluster, { requestTimeoutMs: 300, deliveryTimeoutMs: 900 })
    const error = await failureOf(producer.send({ topic: 'orders', value: 'v' }))
    expect(`${error.code} ${error.message} ${String(error.cause)}`).toContain('InitProducerId')
    expect(
      await stage.producer(cluster, { enableIdempotence: false }).send({ topic: 'orders', value: 'w' }),
    ).toMatchObject({ offset: 0 })
  })

  test('says who we are told: name and version of the client, on every connection', async () => {
    const cluster = await stage.cluster({ brokers: 2, topics: { orders: 2 } })
    const producer = stage.producer(cluster, { clientId: 'the checkout' })
    await producer.sendMany([0, 1].map((partition) => ({ topic: 'orders', partition, value: 'v' })))
    const greetings = cluster.seen('ApiVersions')
    expect(greetings.map((request) => request.connection).sort()).toEqual([0, 1, 2])
    for (const { request, clientId } of greetings) {
      expect(request.clientSoftwareName).toBe('kafka-wire')
      expect(request.clientSoftwareVersion).toMatch(/^\d+\.\d+\.\d+/)
      expect(clientId).toBe('the checkout')
    }
    expect(cluster.seen('Produce').every((request) => request.clientId === 'the checkout')).toBe(true)
  })
})
