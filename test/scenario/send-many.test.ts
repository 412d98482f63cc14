// What `sendMany` promises, sentence by sentence.
import { describe, expect, test } from 'vitest'
import { SendManyError } from '../../src/index.ts'
import { deferred, failureOf, isSettled, numbered, useStage } from './stage.ts'

const stage = useStage()

describe('sendMany', () => {
  test('resolves with the metadata in input order, over topics and partitions', async () => {
    const cluster = await stage.cluster({ brokers: 3, topics: { orders: 6, clicks: 2 } })
    const producer = stage.producer(cluster)
    const records = numbered('v', 500).map((value, index) => ({
      topic: index % 3 === 0 ? 'clicks' : 'orders',
      key: `key-${index % 50}`,
      value,
    }))
    const results = await producer.sendMany(records)
    expect(results).toHaveLength(500)
    for (const [index, { topic, partition, offset }] of results.entries()) {
      expect(topic).toBe(records[index]!.topic)
      expect(cluster.values(topic, partition)[offset]).toBe(records[index]!.value)
    }
  })

  test('of no records resolves with no results', async () => {
    const cluster = await stage.cluster()
    expect(await stage.producer(cluster).sendMany([])).toEqual([])
  })

  test("rejects with SendManyError when any record failed: results in input order, each record's metadata or error", async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const error = await failureOf(
      producer.sendMany([
        { topic: 'orders', value: 'a' },
        { topic: 'not a topic', value: 'b' },
        { topic: 'orders', value: 'c' },
        { topic: 'orders', value: null },
        { topic: 'orders', value: 'e' },
      ]),
    )
    expect(error).toBeInstanceOf(SendManyError)
    const { results, errors, code } = error as SendManyError
    expect(code).toBe('SEND_MANY_FAILED')
    expect(results).toMatchObject([
      { topic: 'orders', offset: 0 },
      { code: 'INVALID_TOPIC_EXCEPTION' },
      { topic: 'orders', offset: 1 },
      { code: 'INVALID_RECORD' },
      { topic: 'orders', offset: 2 },
    ])
    expect(errors).toEqual([results[1], results[3]])
    expect(error.message).toContain('2 of 5')
    expect(cluster.values('orders', 0)).toEqual(['a', 'c', 'e'])
  })

  test('waits for all before it rejects', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster)
    const sent = producer.sendMany([
      { topic: 'not a topic', value: 'a' },
      { topic: 'orders', value: 'b' },
    ])
    const failure = failureOf(sent)
    await cluster.untilSeen('Produce')
    expect(await isSettled(sent)).toBe(false)
    gate.resolve()
    expect((await failure) as SendManyError).toMatchObject({
      results: [{ code: 'INVALID_TOPIC_EXCEPTION' }, { offset: 0 }],
    })
  })

  test('says of a broker that refuses some of them which those were', async () => {
    const cluster = await stage.cluster({ topics: { orders: 2 } })
    cluster.on('Produce', { partition: 1 }).error('INVALID_RECORD')
    const producer = stage.producer(cluster)
    const error = await failureOf(
      producer.sendMany([0, 1, 0].map((partition, index) => ({ topic: 'orders', partition, value: `v-${index}` }))),
    )
    expect((error as SendManyError).results).toMatchObject([
      { partition: 0, offset: 0 },
      { code: 'INVALID_RECORD', partition: 1, persisted: 'no' },
      { partition: 0, offset: 1 },
    ])
  })

  test("takes the records as room comes, so the buffer bounds it whatever the array's length", async () => {
    const cluster = await stage.cluster()
    const bufferMemory = 32_768
    const producer = stage.producer(cluster, { batchSize: 4096, bufferMemory, maxWaitingSends: 1, maxWaitingBytes: 0 })
    // 2 MB of values through 32 KiB, with no place in the line for any of them.
    let touched = 0
    const records = numbered('v', 2000).map((name) => ({
      topic: 'orders',
      get value() {
        touched++
        return name.padEnd(1000, '.')
      },
    }))
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const sent = producer.sendMany(records)
    await cluster.untilSeen('Produce')
    expect(touched).toBeLessThan(60)
    gate.resolve()
    const results = await sent
    expect(results.map((result) => result.offset)).toEqual(Array.from({ length: 2000 }, (_, index) => index))
    expect(touched).toBe(2000)
  })

  test('rejects what is no array of records', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await expect(producer.sendMany('orders' as never)).rejects.toMatchObject({ persisted: 'no' })
    await expect(producer.sendMany([undefined as never])).rejects.toBeInstanceOf(SendManyError)
  })
})
