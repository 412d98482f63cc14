// What `writable` promises, sentence by sentence.
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, test } from 'vitest'
import { aWhile, deferred, failureOf, numbered, useStage } from './stage.ts'

const stage = useStage()

describe('writable', () => {
  test('with a topic takes every chunk for a value', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const values = numbered('v', 2000)
    await pipeline(Readable.from(values), producer.writable({ topic: 'orders' }))
    expect(cluster.values('orders', 0)).toEqual(values)
  })

  test('without a topic takes every chunk for a record', async () => {
    const cluster = await stage.cluster({ topics: { orders: 1, clicks: 1 } })
    const producer = stage.producer(cluster)
    const records = numbered('v', 100).map((value, index) => ({ topic: index % 2 === 0 ? 'orders' : 'clicks', value }))
    await pipeline(Readable.from(records), producer.writable())
    expect(cluster.values('orders', 0)).toEqual(
      records.filter(({ topic }) => topic === 'orders').map(({ value }) => value),
    )
    expect(cluster.values('clicks', 0)).toEqual(
      records.filter(({ topic }) => topic === 'clicks').map(({ value }) => value),
    )
  })

  test('is in object mode, with the highWaterMark that was asked for', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const stream = producer.writable({ topic: 'orders', highWaterMark: 3 })
    expect(stream.writableObjectMode).toBe(true)
    expect(stream.writableHighWaterMark).toBe(3)
    stream.end()
  })

  test('finish comes after the last record is settled', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster)
    const stream = producer.writable({ topic: 'orders' })
    const finished = deferred()
    let isFinished = false
    stream.on('finish', () => {
      isFinished = true
      finished.resolve()
    })
    stream.write('a')
    stream.end('b')
    await cluster.untilSeen('Produce')
    await aWhile()
    expect(isFinished).toBe(false)
    gate.resolve()
    await finished.promise
    expect(cluster.values('orders', 0)).toEqual(['a', 'b'])
  })

  test('finish does not wait for lingerMs', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { lingerMs: 25_000 })
    await pipeline(Readable.from(['a', 'b']), producer.writable({ topic: 'orders' }))
    expect(cluster.values('orders', 0)).toEqual(['a', 'b'])
  })

  test('a record that the broker refuses destroys the stream with its error', async () => {
    const cluster = await stage.cluster()
    cluster.on('Produce').error('INVALID_RECORD')
    const producer = stage.producer(cluster)
    const stream = producer.writable({ topic: 'orders' })
    const failed = deferred<unknown>()
    stream.on('error', (error) => failed.resolve(error))
    stream.write('a')
    expect(await failed.promise).toMatchObject({ code: 'INVALID_RECORD', topic: 'orders', partition: 0 })
    expect(stream.destroyed).toBe(true)
  })

  test('a chunk that is no record destroys the stream with its error', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const error = await failureOf(pipeline(Readable.from([{ topic: 'not a topic', value: 'v' }]), producer.writable()))
    expect(error).toMatchObject({ code: 'INVALID_TOPIC_EXCEPTION' })
  })

  test('has honest back-pressure: it takes no more from its source than the buffer holds', async () => {
    const cluster = await stage.cluster()
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const producer = stage.producer(cluster, { batchSize: 4096, bufferMemory: 16_384 })
    const values = numbered('v', 200).map((name) => name.padEnd(1000, '.'))
    let taken = 0
    const source = function* () {
      for (const value of values) {
        taken++
        yield value
      }
    }
    const done = pipeline(
      Readable.from(source(), { highWaterMark: 1 }),
      producer.writable({ topic: 'orders', highWaterMark: 4 }),
    )
    await cluster.untilSeen('Produce')
    await aWhile()
    expect(taken).toBeLessThan(40)
    gate.resolve()
    await done
    expect(cluster.values('orders', 0)).toEqual(values)
  })

  test('of a producer that is closed fails with CLOSED', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const stream = producer.writable({ topic: 'orders' })
    await producer.close()
    const error = await failureOf(pipeline(Readable.from(['a']), stream))
    expect(error).toMatchObject({ code: 'CLOSED' })
  })

  test('that its user destroys leaves the producer as it was', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const stream = producer.writable({ topic: 'orders' })
    stream.on('error', () => undefined)
    stream.write('a')
    stream.destroy(new Error('no more'))
    await producer.send({ topic: 'orders', value: 'b' })
    expect(cluster.values('orders', 0)).toEqual(['a', 'b'])
  })
})
