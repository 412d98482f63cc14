// Batches that come apart: too large for the topic, or with single records that the broker refuses.
import { describe, expect, test } from 'vitest'
import { failureOf, numbered, useStage } from './stage.ts'

const padded = (prefix: string, count: number) => numbered(prefix, count).map((name) => name.padEnd(60, '.'))

const stage = useStage()

describe('a batch that the topic finds too large', () => {
  const small = { topics: { orders: { partitions: 1, maxMessageBytes: 1000 } } }

  test('is split, in order, and each record gets its own offset', async () => {
    const cluster = await stage.cluster(small)
    const producer = stage.producer(cluster)
    const values = padded('v', 100)
    const results = await Promise.all(values.map((value) => producer.send({ topic: 'orders', value })))
    expect(results.map((result) => result.offset)).toEqual(values.map((_, index) => index))
    expect(cluster.values('orders', 0)).toEqual(values)
    expect(cluster.batches('orders', 0).every((batch) => batch.raw.length <= 1000)).toBe(true)
  })

  test('is split while others fly behind it', async () => {
    const cluster = await stage.cluster(small)
    const producer = stage.producer(cluster, { batchSize: 1500 })
    await producer.send({ topic: 'orders', value: 'first' })
    const values = padded('v', 200)
    await Promise.all(values.map((value) => producer.send({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
  })

  test('is split with its keys, headers and timestamps', async () => {
    const cluster = await stage.cluster(small)
    const producer = stage.producer(cluster)
    const records = padded('v', 40).map((value, index) => ({
      topic: 'orders',
      key: `key-${index}`,
      value,
      timestamp: 1_700_000_000_000 + (index % 2 === 0 ? index * 1000 : -index * 1000),
      headers: { index: String(index), nothing: null },
    }))
    await producer.sendMany(records)
    const stored = cluster.records('orders', 0)
    for (const [index, record] of records.entries()) {
      expect(stored[index]).toMatchObject({
        timestamp: record.timestamp,
        key: Buffer.from(record.key),
        value: Buffer.from(record.value),
        headers: [
          { key: 'index', value: Buffer.from(String(index)) },
          { key: 'nothing', value: null },
        ],
      })
    }
  })

  test('later batches of the topic are made smaller, so that not each is split', async () => {
    const cluster = await stage.cluster(small)
    const producer = stage.producer(cluster)
    await producer.sendMany(padded('v', 100).map((value) => ({ topic: 'orders', value })))
    const before = cluster.seen('Produce').length
    await producer.sendMany(padded('w', 100).map((value) => ({ topic: 'orders', value })))
    const stored = cluster.batches('orders', 0).length
    const refused =
      cluster.seen('Produce').slice(before).length -
      cluster.batches('orders', 0).filter((batch) => batch.baseOffset >= 100).length
    expect(stored).toBeGreaterThan(2)
    expect(refused).toBe(0)
  })

  test('with one record only: it fails as MESSAGE_TOO_LARGE, the others arrive', async () => {
    const cluster = await stage.cluster(small)
    const producer = stage.producer(cluster)
    const values = ['a', 'b'.repeat(2000), 'c']
    const results = await Promise.allSettled(values.map((value) => producer.send({ topic: 'orders', value })))
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((results[1] as PromiseRejectedResult).reason).toMatchObject({
      name: 'RecordError',
      code: 'MESSAGE_TOO_LARGE',
      persisted: 'no',
      topic: 'orders',
      partition: 0,
    })
    expect((results[1] as PromiseRejectedResult).reason.hint).toContain('max.message.bytes')
    expect(cluster.values('orders', 0)).toEqual(['a', 'c'])
  })

  test('without idempotence is split as well', async () => {
    const cluster = await stage.cluster(small)
    const producer = stage.producer(cluster, { enableIdempotence: false, maxInFlightRequestsPerConnection: 1 })
    const values = padded('v', 50)
    await producer.sendMany(values.map((value) => ({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(values)
  })
})

describe('errors of single records', () => {
  test('fail only their records, each with its own words; the rest of the batch arrives in order', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce').recordErrors({ 2: 'the third is bad', 5: 'so is the sixth' })
    const values = numbered('v', 8)
    const results = await Promise.allSettled(values.map((value) => producer.send({ topic: 'orders', value })))
    expect(results.map((result) => result.status === 'fulfilled')).toEqual([
      true,
      true,
      false,
      true,
      true,
      false,
      true,
      true,
    ])
    const [third, sixth] = [results[2], results[5]].map((result) => (result as PromiseRejectedResult).reason)
    expect(third).toMatchObject({
      name: 'RecordError',
      code: 'INVALID_RECORD',
      persisted: 'no',
      topic: 'orders',
      partition: 0,
    })
    expect(third.message).toContain('the third is bad')
    expect(sixth.message).toContain('so is the sixth')
    expect(cluster.values('orders', 0)).toEqual(['first', ...values.filter((_, index) => index !== 2 && index !== 5)])
  })

  test('with more batches behind keep the order', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { batchSize: 300 })
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce', { nth: 2 }).recordErrors({ 0: 'bad' })
    const values = padded('v', 40)
    const results = await Promise.allSettled(values.map((value) => producer.send({ topic: 'orders', value })))
    expect(results.filter((result) => result.status === 'rejected')).toHaveLength(1)
    expect(cluster.values('orders', 0)).toEqual([
      'first',
      ...values.filter((_, index) => results[index]!.status === 'fulfilled'),
    ])
  })

  test('of a compacted topic name the records without a key', async () => {
    const cluster = await stage.cluster({ topics: { orders: { partitions: 1, compacted: true } } })
    const producer = stage.producer(cluster)
    const results = await Promise.allSettled(
      numbered('v', 30).map((value, index) =>
        producer.send({ topic: 'orders', key: index % 10 === 0 ? null : 'k', value }),
      ),
    )
    expect(results.filter((result) => result.status === 'rejected')).toHaveLength(3)
    expect((results[10] as PromiseRejectedResult).reason.message).toContain('Compacted topic')
    expect(cluster.count('orders')).toBe(27)
  })

  test('of all records fail them all', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').recordErrors({ 0: 'bad', 1: 'worse' })
    const producer = stage.producer(cluster)
    const results = await Promise.allSettled(['a', 'b'].map((value) => producer.send({ topic: 'orders', value })))
    expect(results.map((result) => (result as PromiseRejectedResult).reason.message)).toEqual([
      expect.stringContaining('bad'),
      expect.stringContaining('worse'),
    ])
    expect(await producer.send({ topic: 'orders', value: 'c' })).toMatchObject({ offset: 0 })
  })

  test('with an index that the batch does not have fail the batch, and the next one arrives', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').recordErrors({ 99: 'who?' })
    const producer = stage.producer(cluster)
    expect(await failureOf(producer.send({ topic: 'orders', value: 'a' }))).toMatchObject({
      code: 'INVALID_RECORD',
      persisted: 'no',
    })
    expect(await producer.send({ topic: 'orders', value: 'b' })).toMatchObject({ offset: 0 })
  })
})
