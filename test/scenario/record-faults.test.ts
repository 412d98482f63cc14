// Records that are wrong: each fails alone, with an error that says what is wrong, and others are not touched.
import { describe, expect, test } from 'vitest'
import { failureOf, useStage } from './stage.ts'

const stage = useStage()

describe('topic names that Kafka forbids', () => {
  const forbidden = ['', '.', '..', 'a b', 'a/b', 'ä', 'tab\t', 'line\n', 'a'.repeat(250), 'a:b', '*']

  test.each(forbidden.map((name) => [JSON.stringify(name).slice(0, 20), name]))(
    '%s is refused without asking a broker',
    async (_, name) => {
      const cluster = await stage.cluster()
      const error = await failureOf(stage.producer(cluster).send({ topic: name, value: 'v' }))
      expect(error).toMatchObject({
        name: 'RecordError',
        code: 'INVALID_TOPIC_EXCEPTION',
        persisted: 'no',
        retriable: false,
      })
      expect(cluster.connections).toHaveLength(0)
    },
  )

  test.each([[undefined], [null], [7], [{}], [Buffer.from('orders')]])('%s is no name', async (name) => {
    const cluster = await stage.cluster()
    const error = await failureOf(stage.producer(cluster).send({ topic: name as never, value: 'v' }))
    expect(error).toMatchObject({ code: 'INVALID_TOPIC_EXCEPTION' })
  })

  test('249 characters of all that are allowed is a name', async () => {
    const name = 'aZ09._-'.padEnd(249, 'x')
    const cluster = await stage.cluster({ topics: { [name]: 1 } })
    expect(await stage.producer(cluster).send({ topic: name, value: 'v' })).toMatchObject({ topic: name, offset: 0 })
  })

  test('a bad name does not poison the next sends', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const results = await Promise.allSettled([
      producer.send({ topic: 'orders', value: 'a' }),
      producer.send({ topic: 'bad name', value: 'b' }),
      producer.send({ topic: 'orders', value: 'c' }),
    ])
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(cluster.values('orders', 0)).toEqual(['a', 'c'])
  })

  test('a name that only the broker forbids fails at once', async () => {
    const cluster = await stage.cluster()
    cluster.on('Metadata', { topic: 'mirrored' }).error('INVALID_TOPIC_EXCEPTION')
    const error = await failureOf(stage.producer(cluster).send({ topic: 'mirrored', value: 'v' }))
    expect(error).toMatchObject({
      name: 'RecordError',
      code: 'INVALID_TOPIC_EXCEPTION',
      topic: 'mirrored',
      persisted: 'no',
    })
  })
})

describe('key and value', () => {
  test('both null is refused: a tombstone needs a key', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    for (const record of [{ value: null }, { key: null, value: null }, { key: undefined, value: undefined as never }]) {
      const error = await failureOf(producer.send({ topic: 'orders', ...record }))
      expect(error).toMatchObject({ name: 'RecordError', code: 'INVALID_RECORD', persisted: 'no', topic: 'orders' })
      expect(error.hint).toContain('tombstone')
    }
  })

  test('empty is not null: four records stay four different ones', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.sendMany([
      { topic: 'orders', key: '', value: '' },
      { topic: 'orders', key: '', value: null },
      { topic: 'orders', key: null, value: '' },
      { topic: 'orders', key: new Uint8Array(0), value: new Uint8Array(0) },
    ])
    const empty = Buffer.alloc(0)
    expect(cluster.records('orders', 0).map(({ key, value }) => [key, value])).toEqual([
      [empty, empty],
      [empty, null],
      [null, empty],
      [empty, empty],
    ])
  })

  test('strings of every kind arrive as UTF-8', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    const texts = [
      'ascii',
      'ümläut',
      '漢字',
      '🎉🎉',
      '\u0000',
      '\ud800 half a pair',
      'x'.repeat(5000),
      'ä'.repeat(5000),
      '🎉'.repeat(5000),
    ]
    await producer.sendMany(texts.map((text) => ({ topic: 'orders', key: text, value: text })))
    for (const [index, record] of cluster.records('orders', 0).entries()) {
      expect(record.value).toEqual(Buffer.from(texts[index]!, 'utf8'))
      expect(record.key).toEqual(record.value)
    }
  })

  test('what is neither a string nor bytes needs a serializer, and the error says which', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    for (const value of [7, true, {}, [], 7n, Symbol('s'), () => 1, new ArrayBuffer(3)]) {
      const error = await failureOf(producer.send({ topic: 'orders', value: value as never }))
      expect(error).toMatchObject({ name: 'RecordError', code: 'SERIALIZATION_FAILED', persisted: 'no' })
      expect(error.hint).toContain('valueSerializer')
    }
    const error = await failureOf(producer.send({ topic: 'orders', key: 7 as never, value: 'v' }))
    expect(error.hint).toContain('keySerializer')
  })
})

describe('partitions', () => {
  test.each([[-1], [-2], [1.5], [Number.NaN], [Number.POSITIVE_INFINITY], ['0'], [2 ** 31], [{}]])(
    '%s cannot exist',
    async (partition) => {
      const cluster = await stage.cluster()
      const error = await failureOf(
        stage.producer(cluster).send({ topic: 'orders', partition: partition as never, value: 'v' }),
      )
      expect(error).toMatchObject({ name: 'RecordError', code: 'INVALID_PARTITION', persisted: 'no', topic: 'orders' })
    },
  )

  test('null and undefined leave the choice to the partitioner', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    await producer.sendMany([
      { topic: 'orders', partition: null, value: 'a' },
      { topic: 'orders', partition: undefined, value: 'b' },
    ])
    expect(cluster.values('orders', 0)).toEqual(['a', 'b'])
  })

  test('one that the topic does not have fails after maxBlockMs, and says how many there are', async () => {
    const cluster = await stage.cluster({ topics: { orders: 3 } })
    const producer = stage.producer(cluster, { maxBlockMs: 400 })
    const error = await failureOf(producer.send({ topic: 'orders', partition: 3, value: 'v' }))
    expect(error).toMatchObject({
      name: 'RecordError',
      code: 'INVALID_PARTITION',
      topic: 'orders',
      partition: 3,
      persisted: 'no',
    })
    expect(error.message).toContain('3')
    await producer.send({ topic: 'orders', partition: 2, value: 'fine' })
    expect(cluster.values('orders', 2)).toEqual(['fine'])
  })

  test('one that is created later is waited for', async () => {
    const cluster = await stage.cluster({ topics: { orders: 1 } })
    const producer = stage.producer(cluster)
    await producer.send({ topic: 'orders', partition: 0, value: 'first' })
    const sent = producer.send({ topic: 'orders', partition: 2, value: 'later' })
    await cluster.untilSeen('Metadata', 2)
    cluster.addPartitions('orders', 2)
    expect(await sent).toMatchObject({ partition: 2, offset: 0 })
  })
})

describe('headers', () => {
  const stored = async (headers: unknown) => {
    const cluster = await stage.cluster()
    await stage.producer(cluster).send({ topic: 'orders', value: 'v', headers: headers as never })
    return cluster
      .records('orders', 0)[0]!
      .headers.map(({ key, value }) => [key, value === null ? null : Buffer.from(value).toString('utf8')])
  }

  test('pairs keep their order and their repeats', async () => {
    const pairs = [
      ['b', '1'],
      ['a', '2'],
      ['b', '3'],
      ['2', 'x'],
      ['1', 'y'],
    ]
    expect(await stored(pairs)).toEqual(pairs)
  })

  test('an object gives a name several values with an array', async () => {
    expect(await stored({ a: ['1', '2', null], b: 'x', c: [] })).toEqual([
      ['a', '1'],
      ['a', '2'],
      ['a', null],
      ['b', 'x'],
    ])
  })

  test('null, empty and bytes stay apart', async () => {
    expect(
      await stored([
        ['null', null],
        ['empty', ''],
        ['bytes', new Uint8Array([0x68])],
        ['', 'no name'],
        ['ü', 'ä'],
      ]),
    ).toEqual([
      ['null', null],
      ['empty', ''],
      ['bytes', 'h'],
      ['', 'no name'],
      ['ü', 'ä'],
    ])
  })

  test.each([[undefined], [null], [{}], [[]]])('%s are no headers', async (headers) => {
    expect(await stored(headers)).toEqual([])
  })

  test.each<[string, unknown]>([
    ['a number as a value', { a: 7 }],
    ['undefined as a value', { a: undefined }],
    ['an object as a value', { a: { b: 'c' } }],
    ['a Date as a value', { a: new Date(0) }],
    ['a number in an array of values', { a: ['x', 7] }],
    ['a pair of one', [['a']]],
    ['a pair of three', [['a', 'b', 'c']]],
    ['a name that is no string', [[7, 'x']]],
    ['a null name', [[null, 'x']]],
    ['a string', 'a=b'],
    ['a number', 7],
    ['a Map', new Map([['a', 'b']])],
    ['bytes', Buffer.from('a')],
    [
      'a getter that throws',
      {
        get a(): string {
          throw new Error('no')
        },
      },
    ],
  ])('%s is refused', async (_name, headers) => {
    const cluster = await stage.cluster()
    const error = await failureOf(
      stage.producer(cluster).send({ topic: 'orders', value: 'v', headers: headers as never }),
    )
    expect(error).toMatchObject({ name: 'RecordError', code: 'INVALID_RECORD', persisted: 'no' })
  })
})

describe('timestamps', () => {
  test.each<[unknown]>([[-1], [1.5], [Number.NaN], ['2020'], [new Date(Number.NaN)], [7n]])(
    '%s is none',
    async (timestamp) => {
      const cluster = await stage.cluster()
      const error = await failureOf(
        stage.producer(cluster).send({ topic: 'orders', value: 'v', timestamp: timestamp as never }),
      )
      expect(error).toMatchObject({ name: 'RecordError', code: 'INVALID_TIMESTAMP', persisted: 'no' })
    },
  )

  test('a month and a year apart in one batch arrive as they were', async () => {
    const cluster = await stage.cluster()
    const now = 1_700_000_000_000
    const day = 86_400_000
    const timestamps = [now, now - 30 * day, now + 30 * day, now - 365 * day, now + 365 * day, 0, now]
    const results = await stage
      .producer(cluster)
      .sendMany(timestamps.map((timestamp, index) => ({ topic: 'orders', value: `${index}`, timestamp })))
    expect(results.map((result) => result.timestamp)).toEqual(timestamps)
    expect(cluster.records('orders', 0).map((record) => record.timestamp)).toEqual(timestamps)
  })
})

describe('a record above maxRequestSize', () => {
  test('names its size, the limit, topic and partition', async () => {
    const cluster = await stage.cluster({ topics: { orders: 3 } })
    const producer = stage.producer(cluster, { maxRequestSize: 10_000 })
    const error = await failureOf(producer.send({ topic: 'orders', partition: 2, value: Buffer.alloc(20_000) }))
    expect(error).toMatchObject({
      name: 'RecordError',
      code: 'RECORD_TOO_LARGE',
      topic: 'orders',
      partition: 2,
      persisted: 'no',
    })
    const size = Number(/takes ([\d,]+) bytes/.exec(error.message)?.[1]?.replaceAll(',', ''))
    expect(size).toBeGreaterThan(20_000)
    expect(size).toBeLessThan(20_200)
    expect(error.message).toContain('10,000')
    expect(error.message).toContain('maxRequestSize')
    expect(error.message).toMatch(/orders.*2/)
    await producer.send({ topic: 'orders', partition: 2, value: 'fine' })
    expect(cluster.values('orders', 2)).toEqual(['fine'])
  })

  test('is refused at one byte more than fits, and not before (Java: 1048489 bytes with an empty key)', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster)
    expect(await producer.send({ topic: 'orders', key: '', value: Buffer.alloc(1_048_489) })).toMatchObject({
      offset: 0,
    })
    const error = await failureOf(producer.send({ topic: 'orders', key: '', value: Buffer.alloc(1_048_490) }))
    expect(error).toMatchObject({ code: 'RECORD_TOO_LARGE' })
  })

  test('is measured in bytes, not characters', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { maxRequestSize: 10_000 })
    expect(await producer.send({ topic: 'orders', value: 'x'.repeat(9_000) })).toMatchObject({ offset: 0 })
    expect(await failureOf(producer.send({ topic: 'orders', value: 'ä'.repeat(9_000) }))).toMatchObject({
      code: 'RECORD_TOO_LARGE',
    })
    expect(await producer.send({ topic: 'orders', value: 'ä'.repeat(4_900) })).toMatchObject({ offset: 1 })
  })

  test('may be larger than batchSize and then travels alone', async () => {
    const cluster = await stage.cluster()
    const producer = stage.producer(cluster, { batchSize: 1000 })
    const values = ['a', 'b'.repeat(50_000), 'c']
    await producer.sendMany(values.map((value) => ({ topic: 'orders', value })))
    expect(cluster.values('orders', 0)).toEqual(values)
  })
})
