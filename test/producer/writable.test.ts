import { once } from 'node:events'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, test } from 'vitest'
import type { ProducerOptions } from '../../src/index.ts'
import { deferred } from '../support/fake-cluster/deferred.ts'
import { filler, turns, until, useStand, watch } from '../support/stand.ts'

const stand = useStand()
const small: Partial<ProducerOptions> = { bufferMemory: 16_384, batchSize: 4_096 }

const errorOf = async (stream: Writable): Promise<{ code?: string }> => ((await once(stream, 'error')) as never)[0]

describe('writable', () => {
  test('takes records, and emits finish after the last of them is settled', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const stream = producer.writable()
    let isFinished = false
    stream.on('finish', () => {
      isFinished = true
    })
    for (const value of ['a', 'b', 'c']) stream.write({ topic: 'orders', value })
    stream.end()
    await cluster.untilSeen('Produce', 2)
    await turns(5)
    expect(isFinished).toBe(false)
    gate.resolve()
    await stand.settled(until(() => isFinished))
    expect(cluster.values('orders', 0)).toEqual(['first', 'a', 'b', 'c'])
  })

  test('with a topic takes values', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    await stand.settled(pipeline(Readable.from(['a', Buffer.from('b'), 'c']), producer.writable({ topic: 'orders' })))
    expect(cluster.values('orders', 0)).toEqual(['a', 'b', 'c'])
  })

  test('refuses a topic that cannot exist, before anything is written', () => {
    expect(() => stand.producer(null).writable({ topic: 'a b' })).toThrow(
      expect.objectContaining({ code: 'INVALID_TOPIC_EXCEPTION' }),
    )
  })

  test('without a chunk finishes without a cluster', async () => {
    const stream = stand.producer(null).writable()
    stream.end()
    await once(stream, 'finish')
    expect(stand.clock.pendingDelaysMs).toEqual([])
  })

  test('does not wait for lingerMs once it has ended', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, { lingerMs: 60_000, deliveryTimeoutMs: 120_000 })
    const stream = producer.writable()
    stream.end({ topic: 'orders', value: 'v' })
    const finished = watch(once(stream, 'finish'))
    await stand.settled(until(() => finished.state === 'done'))
    expect(cluster.count('orders')).toBe(2)
  })

  test('stops its source while there is no room, and goes on when there is', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster, small)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    let produced = 0
    const source = Readable.from(
      (function* () {
        for (; produced < 40; produced++) yield { topic: 'orders', value: `${produced}:${filler(3_000)}` }
      })(),
      { highWaterMark: 1 },
    )
    const piped = watch(pipeline(source, producer.writable({ highWaterMark: 1 })))
    await cluster.untilSeen('Produce', 2)
    await turns(20)
    // Half of the buffer holds two of them; one more passed the mark, and the streams hold one or two each.
    expect(produced).toBeLessThan(10)
    expect(producer.metrics().recordsPending).toBeLessThanOrEqual(4)
    gate.resolve()
    await stand.settled(
      until(() => piped.state !== 'pending'),
      2_000,
    )
    expect(piped.state).toBe('done')
    const numbers = cluster.values('orders', 0).slice(1)
    expect(numbers.map((value) => Number.parseInt(value!, 10))).toEqual(Array.from({ length: 40 }, (_, i) => i))
  })

  test('answers false from write at its high-water mark, as any stream', () => {
    const stream = stand.producer(null, small).writable({ highWaterMark: 2 })
    stream.on('error', () => {})
    const answers = Array.from({ length: 6 }, () => stream.write({ topic: 'orders', value: filler(3_500) }))
    expect(answers.slice(0, 2)).toEqual([true, true])
    expect(answers.at(-1)).toBe(false)
    expect(stream.writableNeedDrain).toBe(true)
  })

  test('lets deliveries overlap: a chunk is done when there is room, not when it is delivered', async () => {
    const cluster = await stand.cluster()
    const producer = await stand.warm(cluster)
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const stream = producer.writable()
    const done: number[] = []
    for (let i = 0; i < 5; i++) stream.write({ topic: 'orders', value: `v${i}` }, () => done.push(i))
    await cluster.untilSeen('Produce', 2)
    expect(done).toEqual([0, 1, 2, 3, 4])
    gate.resolve()
    stream.end()
    await stand.settled(until(() => stream.writableFinished))
  })

  test('is destroyed by a record that fails, with its error; the others are sent all the same', async () => {
    const cluster = await stand.cluster({ topics: { orders: 1, bad: 1 } })
    cluster.on('Produce', { topic: 'bad' }).error('INVALID_RECORD')
    const producer = stand.producer(cluster)
    const stream = producer.writable()
    const failed = errorOf(stream)
    for (const topic of ['orders', 'bad', 'orders']) stream.write({ topic, value: 'v' })
    expect(await stand.settled(failed)).toMatchObject({ code: 'INVALID_RECORD', topic: 'bad' })
    expect(stream.destroyed).toBe(true)
    await stand.settled(producer.flush())
    expect(cluster.count('orders')).toBe(2)
  })

  test.each([
    ['no record', null, 7],
    ['a value that nobody serializes', 'orders', { a: 1 }],
    ['a record without a topic', null, { value: 'v' }],
  ])('is destroyed by %s', async (_what, topic, chunk) => {
    const stream = stand.producer(null).writable(topic === null ? {} : { topic })
    const failed = errorOf(stream)
    stream.write(chunk)
    expect((await failed).code).toMatch(/^(INVALID_RECORD|SERIALIZATION_FAILED|INVALID_TOPIC_EXCEPTION)$/)
    expect(stream.destroyed).toBe(true)
  })

  test('with a record that fails after end emits error and never finish', async () => {
    const cluster = await stand.cluster()
    cluster.on('Produce').error('INVALID_RECORD')
    const stream = stand.producer(cluster).writable()
    const events: string[] = []
    for (const event of ['finish', 'error', 'close']) stream.on(event, () => events.push(event))
    stream.end({ topic: 'orders', value: 'v' })
    await stand.settled(until(() => events.includes('close')))
    expect(events).toEqual(['error', 'close'])
  })

  test('emits one error, however many records fail', async () => {
    const cluster = await stand.cluster()
    cluster.on('Produce').error('INVALID_RECORD')
    const producer = stand.producer(cluster)
    const stream = producer.writable()
    const errors: unknown[] = []
    stream.on('error', (error) => errors.push(error))
    for (let i = 0; i < 10; i++) stream.write({ topic: 'orders', value: `v${i}` })
    await stand.settled(producer.flush())
    await turns(3)
    expect(errors).toHaveLength(1)
  })

  test('destroyed by its user takes back nothing that was handed over, and says nothing more', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    const stream = producer.writable()
    stream.write({ topic: 'orders', value: 'v' })
    stream.destroy()
    await once(stream, 'close')
    expect(await stand.settled(producer.flush())).toEqual({ delivered: 1, failed: 0 })
  })

  test('of a producer that is closed is destroyed with CLOSED by the first chunk', async () => {
    const producer = stand.producer(null)
    const stream = producer.writable()
    await producer.close()
    const failed = errorOf(stream)
    stream.write({ topic: 'orders', value: 'v' })
    expect((await failed).code).toBe('CLOSED')
  })

  test('that waits for room when its producer is closed is destroyed with CLOSED', async () => {
    const producer = stand.producer(null, small)
    const stream = producer.writable()
    const failed = errorOf(stream)
    for (let i = 0; i < 6; i++) stream.write({ topic: 'orders', value: filler(3_500) })
    const closed = producer.close({ timeoutMs: 0 })
    stand.clock.advance(0)
    await closed
    expect((await failed).code).toBe('CLOSED')
  })

  test('keeps its order with send and enqueue around it', async () => {
    const cluster = await stand.cluster()
    const producer = stand.producer(cluster)
    const stream = producer.writable({ topic: 'orders' })
    const before = producer.send({ topic: 'orders', value: 'a' })
    stream.write('b')
    producer.enqueue({ topic: 'orders', value: 'c' })
    stream.write('d')
    await stand.settled(Promise.all([before, producer.flush()]))
    expect(cluster.values('orders', 0)).toEqual(['a', 'b', 'c', 'd'])
    stream.destroy()
  })

  test('two streams of one producer fail on their own', async () => {
    const cluster = await stand.cluster({ topics: { good: 1, bad: 1 } })
    cluster.on('Produce', { topic: 'bad' }).error('INVALID_RECORD')
    const producer = stand.producer(cluster)
    const good = watch(pipeline(Readable.from(['a', 'b']), producer.writable({ topic: 'good' })))
    const bad = watch(pipeline(Readable.from(['a', 'b']), producer.writable({ topic: 'bad' })))
    await stand.settled(until(() => good.state !== 'pending' && bad.state !== 'pending'))
    expect([good.state, bad.state]).toEqual(['done', 'failed'])
    expect(cluster.values('good', 0)).toEqual(['a', 'b'])
  })
})
