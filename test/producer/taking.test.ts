// Nothing here is ever delivered: the one broker cannot be dialled, so what is taken stays, and the buffer fills.
import { afterEach, describe, expect, test } from 'vitest'
import type { KafkaError } from '../../src/errors.ts'
import { Producer } from '../../src/producer/producer.ts'
import type { ProducerOptions, RecordMetadata } from '../../src/producer/types.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

const open: Producer[] = []

/** Room for four records of 4,000 bytes: each takes a region of 4,096 for itself. */
function fullAfterFour(options: Partial<ProducerOptions> = {}): Producer {
  const producer = new Producer({
    bootstrapServers: 'nowhere.invalid:9092',
    dial: () => new Promise(() => {}),
    bufferMemory: 16_384,
    batchSize: 4_096,
    logger: silent,
    ...options,
  })
  open.push(producer)
  return producer
}

afterEach(async () => {
  for (const producer of open.splice(0)) await producer.close({ timeoutMs: 0 })
})

const record = (mark: string) => ({ topic: 'orders', value: mark.padEnd(4_000, '.') })

/** What became of a promise so far: its error's code, or `'waiting'`. */
async function outcomeOf(promise: Promise<RecordMetadata | RecordMetadata[]>): Promise<string> {
  let outcome = 'waiting'
  promise.then(
    () => {
      outcome = 'delivered'
    },
    (error: KafkaError) => {
      outcome = error.code
    },
  )
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  return outcome
}

describe('a send that finds the buffer full', () => {
  test('waits in the line, and is counted there', async () => {
    const producer = fullAfterFour()
    const sends = ['a', 'b', 'c', 'd', 'e', 'f'].map((mark) => producer.send(record(mark)))
    expect(await Promise.all(sends.map(outcomeOf))).toEqual(Array(6).fill('waiting'))
    expect(producer.metrics().waitingThreads).toBe(2)
  })

  test('fails at once with BUFFER_FULL and the advice to await, past maxWaitingSends', async () => {
    const producer = fullAfterFour({ maxWaitingSends: 2 })
    const sends = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((mark) => producer.send(record(mark)))
    expect(await Promise.all(sends.map(outcomeOf))).toEqual([...Array(6).fill('waiting'), 'BUFFER_FULL'])
    await expect(sends[6]).rejects.toThrow(/maxWaitingSends \(2\).*Await send, or use sendMany or writable/)
  })

  test('fails at once with BUFFER_FULL, past maxWaitingBytes', async () => {
    const producer = fullAfterFour({ maxWaitingBytes: 5_000 })
    const sends = ['a', 'b', 'c', 'd', 'e', 'f'].map((mark) => producer.send(record(mark)))
    expect(await Promise.all(sends.map(outcomeOf))).toEqual([...Array(5).fill('waiting'), 'BUFFER_FULL'])
    await expect(sends[5]).rejects.toThrow(/maxWaitingBytes \(5000\)/)
  })

  test('lets nobody past: a small record that would fit waits behind it', async () => {
    const producer = fullAfterFour()
    const three = ['a', 'b', 'c'].map((mark) => producer.send(record(mark)))
    const large = producer.send({ topic: 'orders', value: 'L'.repeat(6_000) })
    const small = producer.send({ topic: 'orders', value: 's' })
    expect(await Promise.all([...three, large, small].map(outcomeOf))).toEqual(Array(5).fill('waiting'))
    expect(producer.metrics().waitingThreads).toBe(2)
  })
})

describe('a sendMany', () => {
  test('holds one place in the line however many records it has left', async () => {
    const producer = fullAfterFour()
    const many = producer.sendMany(Array.from({ length: 100 }, (_, i) => record(String(i))))
    expect(await outcomeOf(many)).toBe('waiting')
    expect(producer.metrics().waitingThreads).toBe(1)
  })

  test('fails what it could not hand over when the line is full', async () => {
    const producer = fullAfterFour({ maxWaitingSends: 0 })
    const many = producer.sendMany(Array.from({ length: 6 }, (_, i) => record(String(i))))
    const rejected = expect(many).rejects.toMatchObject({ code: 'SEND_MANY_FAILED' })
    await producer.close({ timeoutMs: 0 })
    await rejected
    const { results } = await many.catch((error) => error)
    expect(results.map((error: KafkaError) => error.code)).toEqual([
      ...Array(4).fill('CLOSED'),
      ...Array(2).fill('BUFFER_FULL'),
    ])
  })
})

describe('an enqueue that finds the buffer full', () => {
  const enqueued = (producer: Producer, mark: string): Promise<string> =>
    new Promise((resolve) => {
      producer.enqueue(record(mark), (error) => resolve(`${mark} ${error?.code}`))
    })

  test("is refused with BUFFER_FULL and the advice to wait for ready(), with overflow 'reject'", async () => {
    const producer = fullAfterFour()
    for (const mark of ['a', 'b', 'c', 'd']) void enqueued(producer, mark)
    expect(await enqueued(producer, 'e')).toBe('e BUFFER_FULL')
  })

  test("takes the place of the oldest, which settles with DROPPED, with overflow 'drop-oldest'", async () => {
    const producer = fullAfterFour({ overflow: 'drop-oldest' })
    const settled: string[] = []
    for (const mark of ['a', 'b', 'c', 'd', 'e', 'f']) {
      producer.enqueue(record(mark), (error) => settled.push(`${mark} ${error?.code}`))
    }
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    expect(settled).toEqual(['a DROPPED', 'b DROPPED'])
    expect(producer.metrics().recordDroppedTotal).toBe(2)
  })

  test('is refused behind a send that waits, whatever overflow says: nothing overtakes the line', async () => {
    const producer = fullAfterFour({ overflow: 'drop-oldest' })
    for (const mark of ['a', 'b', 'c', 'd']) void enqueued(producer, mark)
    const send = producer.send(record('e'))
    const late = enqueued(producer, 'f')
    expect(await outcomeOf(send)).toBe('waiting')
    expect(await late).toBe('f BUFFER_FULL')
  })

  test("drops no record of a send: with nothing else to drop it is refused, with overflow 'drop-oldest'", async () => {
    const producer = fullAfterFour({ overflow: 'drop-oldest' })
    const sends = ['a', 'b', 'c', 'd'].map((mark) => producer.send(record(mark)))
    expect(await enqueued(producer, 'e')).toBe('e BUFFER_FULL')
    expect(await Promise.all(sends.map(outcomeOf))).toEqual(Array(4).fill('waiting'))
  })
})

test('after close every way in answers CLOSED', async () => {
  const producer = fullAfterFour()
  await producer.close()
  await expect(producer.send(record('a'))).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(producer.sendMany([record('a')])).rejects.toMatchObject({ code: 'CLOSED' })
  const called = await new Promise<KafkaError | null>((resolve) => {
    expect(producer.enqueue(record('a'), (error) => resolve(error))).toBe(false)
  })
  expect(called).toMatchObject({ code: 'CLOSED' })
})
