// Answers that never come: the records may be in the log or not, and the producer must find out without writing one twice.
import { describe, expect, test } from 'vitest'
import { deferred, failureOf, numbered, useStage } from './stage.ts'

const stage = useStage()

const smallBatches = { batchSize: 200 }
const padded = (prefix: string, count: number) => numbered(prefix, count).map((name) => name.padEnd(60, '.'))

describe('an answer that is lost after the append', () => {
  test('gives no duplicate, and the offset of the first append', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    cluster.on('Produce').appendThenDrop()
    expect(await producer.send({ topic: 'orders', value: 'v' })).toMatchObject({ offset: 0 })
    expect(cluster.values('orders', 0)).toEqual(['v'])
    expect(cluster.seen('Produce')).toHaveLength(2)
  })

  test('with a send behind it gives neither a duplicate nor a gap', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce').appendThenDrop()
    const lost = producer.send({ topic: 'orders', value: 'lost' })
    await cluster.untilSeen('Produce', 2)
    const behind = producer.send({ topic: 'orders', value: 'behind' })
    expect(await lost).toMatchObject({ offset: 1 })
    expect(await behind).toMatchObject({ offset: 2 })
    expect(cluster.values('orders', 0)).toEqual(['first', 'lost', 'behind'])
  })

  test.each([1, 2, 3, 4, 5])('together with those of %i requests in flight gives no duplicate', async (lost) => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, smallBatches)
    await producer.send({ topic: 'orders', value: 'first' })
    // The answers to the first ones are empty, and then the connection is reset.
    if (lost > 1) cluster.on('Produce', { times: lost - 1 }).rewrite(() => new Uint8Array(0))
    cluster.on('Produce', { nth: lost }).appendThenDrop()
    const values = padded('v', 40)
    const results = await Promise.all(values.map((value) => producer.send({ topic: 'orders', value })))
    expect(results.map((result) => result.offset)).toEqual(values.map((_, index) => index + 1))
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
  })

  test('with four more gives no duplicate from a broker that has restarted since, and remembers the last batch alone', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, smallBatches)
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce', { times: 4 }).rewrite(() => new Uint8Array(0))
    const fifth = cluster.on('Produce', { nth: 5 }).appendThenDrop()
    const values = padded('v', 40)
    const sent = values.map((value) => producer.send({ topic: 'orders', value }))
    await fifth.hit
    const stored = cluster.count('orders')
    cluster.topics.partition('orders', 0).log.producers.rememberLastOnly()
    stage.expectedViolations.push('is next, and never came')
    const offsets = (await Promise.all(sent)).map(({ offset }) => offset)
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
    // Where the other four are it has forgotten.
    const known = values.map((_, index) => index + 1)
    const firstKnown = offsets.indexOf(known.find((offset, index) => offsets[index] === offset)!)
    expect(offsets).toEqual([...Array(firstKnown).fill(-1), ...known.slice(firstKnown)])
    expect(firstKnown).toBeGreaterThan(0)
    expect(firstKnown).toBeLessThan(stored)
  })

  test('again and again gives no duplicate', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce', { times: 5 }).appendThenDrop()
    expect(await stage.producer(cluster).send({ topic: 'orders', value: 'v' })).toMatchObject({ offset: 0 })
    expect(cluster.values('orders', 0)).toEqual(['v'])
  })

  test('and a leader that moved meanwhile give no duplicate', async () => {
    const cluster = await stage.cluster({ brokers: 2, topics: { orders: 1 } })
    const producer = stage.producer(cluster, smallBatches)
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce', { nth: 2 }).appendThenDrop()
    const values = padded('v', 40)
    const sent = values.map((value) => producer.send({ topic: 'orders', value }))
    await cluster.untilSeen('Produce', 3)
    cluster.setLeader('orders', 0, 2)
    await Promise.all(sent)
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
  })

  test('without idempotence may double a record, and persisted says so when it fails', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').appendThenDrop()
    const producer = stage.producer(cluster, { enableIdempotence: false, retries: 0 })
    const error = await failureOf(producer.send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({ persisted: 'possibly', retriable: true, topic: 'orders', partition: 0, attempts: 1 })
    expect(cluster.values('orders', 0)).toEqual(['v'])
  })
})

describe('a request that is lost before the append', () => {
  test('is sent again', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').dropBefore()
    expect(await stage.producer(cluster).send({ topic: 'orders', value: 'v' })).toMatchObject({ offset: 0 })
    expect(cluster.values('orders', 0)).toEqual(['v'])
  })

  test('together with requests behind it arrives once and in order', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, smallBatches)
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce', { nth: 1 }).dropBefore()
    cluster.on('Produce', { nth: 3 }).appendThenDrop()
    const values = padded('v', 60)
    await Promise.all(values.map((value) => producer.send({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
  })
})

describe('a broker that says nothing', () => {
  test('loses its connection after requestTimeoutMs; the records arrive once', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { requestTimeoutMs: 60 })
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce').appendThenSwallow()
    const sent = producer.sendMany(['a', 'b'].map((value) => ({ topic: 'orders', value })))
    expect((await sent).map((result) => result.offset)).toEqual([1, 2])
    expect(cluster.values('orders', 0)).toEqual(['first', 'a', 'b'])
    expect(new Set(cluster.seen('Produce').map((request) => request.connection)).size).toBe(2)
  })

  test('and did not store either: the records arrive once', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { ...smallBatches, requestTimeoutMs: 60 })
    await producer.send({ topic: 'orders', value: 'first' })
    cluster.on('Produce', { nth: 2 }).swallow()
    const values = padded('v', 30)
    await producer.sendMany(values.map((value) => ({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(['first', ...values])
  })

  test('but handles the request after its connection has ended: the late copy is known for what it is', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { requestTimeoutMs: 60 })
    await producer.send({ topic: 'orders', value: 'first' })
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    expect(await producer.send({ topic: 'orders', value: 'late' })).toMatchObject({ offset: 1 })
    gate.resolve()
    await cluster.until(() => cluster.seen('Produce')[1]!.outcome === 'dropped', 'the late request to be handled')
    await producer.send({ topic: 'orders', value: 'next' })
    expect(cluster.values('orders', 0)).toEqual(['first', 'late', 'next'])
  })
})

describe('an error after the append', () => {
  test.each(['REQUEST_TIMED_OUT', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND'])(
    '%s: the record is in the log once',
    async (error) => {
      const cluster = await stage.cluster()
      const producer = stage.producer(cluster, smallBatches)
      await producer.send({ topic: 'orders', value: 'first' })
      cluster.on('Produce', { nth: 2 }).appendThenError(error)
      const values = padded('v', 60)
      const results = await Promise.all(values.map((value) => producer.send({ topic: 'orders', value })))
      expect(results.map((result) => result.offset)).toEqual(values.map((_, index) => index + 1))
      expect(cluster.values('orders', 0)).toEqual(['first', ...values])
    },
  )

  test('with retries 0 fails as possibly persisted', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').appendThenError('NOT_ENOUGH_REPLICAS_AFTER_APPEND')
    const error = await failureOf(stage.producer(cluster, { retries: 0 }).send({ topic: 'orders', value: 'v' }))
    expect(error).toMatchObject({ code: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', persisted: 'possibly' })
  })
})

describe('DUPLICATE_SEQUENCE_NUMBER', () => {
  test('is success: the record is there, and its offset is not known', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').appendThenError('DUPLICATE_SEQUENCE_NUMBER')
    const producer = stage.producer(cluster)
    const metadata = await producer.send({ topic: 'orders', value: 'v', timestamp: 7 })
    expect(metadata).toMatchObject({ topic: 'orders', partition: 0, offset: -1, timestamp: 7 })
    expect(await producer.send({ topic: 'orders', value: 'w' })).toMatchObject({ offset: 1 })
    expect(cluster.batches('orders', 0).map((batch) => batch.baseSequence)).toEqual([0, 1])
  })
})
