// What becomes of batches after an attempt: the walks through failures, from the wire's side. The producer is whole but for its network.
import { afterEach, describe, expect, test } from 'vitest'
import { expectNothingLeft, OnePartition } from '../support/producer/stage.ts'

afterEach(expectNothingLeft)

const NOT_LEADER = 6
const TIMED_OUT = 7
const TOO_LARGE = 10
const NOT_ENOUGH_REPLICAS = 19
const TOPIC_AUTHORIZATION_FAILED = 29
const CLUSTER_AUTHORIZATION_FAILED = 31
const OUT_OF_ORDER = 45
const INVALID_EPOCH = 47
const UNKNOWN_PRODUCER_ID = 59
const INVALID_RECORD = 87

/** The back-off is 100 ms: no jitter with a random that says 0.5. */
const BACKOFF_MS = 100

async function proven(options?: ConstructorParameters<typeof OnePartition>[0]): Promise<OnePartition> {
  const stage = new OnePartition(options)
  await stage.prove()
  return stage
}

describe('five in flight, one refused for the moment', () => {
  test('it goes again once the others have landed, first and with the same bytes, and they follow in order', async () => {
    const stage = await proven()
    const [a, b, c, d, e] = await stage.fly('a', 'b', 'c', 'd', 'e')
    a!.request.answer([{ baseOffset: 1 }])
    b!.request.refuse(NOT_ENOUGH_REPLICAS)
    c!.request.refuse(OUT_OF_ORDER)
    d!.request.refuse(OUT_OF_ORDER)
    const before = stage.lane1.requests.length
    await stage.pass(BACKOFF_MS)
    expect(stage.lane1.requests.length).toBe(before)
    e!.request.refuse(OUT_OF_ORDER)
    await stage.settle()

    // Alone, until the leader has taken it.
    expect(stage.wire(before)).toEqual(['epoch 0 sequence 2: b'])
    expect(stage.lane1.newest.only.bytes).toEqual(b!.request.only.bytes)
    stage.lane1.newest.answer([{ baseOffset: 2 }])
    await stage.pass(10)
    expect(stage.wire(before + 1)).toEqual(['epoch 0 sequence 3: c', 'epoch 0 sequence 4: d', 'epoch 0 sequence 5: e'])
    expect(stage.lane1.requests.slice(before + 1).map(({ only }) => only.bytes)).toEqual(
      [c, d, e].map((each) => each!.request.only.bytes),
    )
    await stage.finish()
    for (const { sent } of [a!, b!, c!, d!, e!]) expect(sent.settledCount).toBe(1)
  })

  test('what is behind the refused one goes again even if that was stored first', async () => {
    const stage = await proven()
    const [a, b] = await stage.fly('a', 'b')
    const before = stage.lane1.requests.length
    // Stored, then too few replicas.
    a!.request.refuse(20)
    b!.request.answer([{ baseOffset: 2 }])
    await stage.pass(BACKOFF_MS)
    expect(stage.wire(before)).toEqual(['epoch 0 sequence 1: a'])
    stage.lane1.newest.answer([{ baseOffset: 1 }])
    expect(a!.sent.outcome).toBe('offset 1')
    expect(b!.sent.outcome).toBe('offset 2')
    await stage.finish()
  })

  test('nothing new leaves before it, however many newer ones are acknowledged', async () => {
    const stage = await proven()
    const [a, b, c] = await stage.fly('a', 'b', 'c')
    const before = stage.lane1.requests.length
    a!.request.refuse(TIMED_OUT)
    // The leader remembers five batches: with a stored, five more behind it would make it forget a.
    b!.request.answer([{ baseOffset: 2 }])
    stage.send({ value: 'new' })
    await stage.pass(BACKOFF_MS)
    expect(stage.wire(before)).toEqual([])
    c!.request.answer([{ baseOffset: 3 }])
    await stage.settle()
    expect(stage.wire(before)).toEqual(['epoch 0 sequence 1: a'])
    await stage.finish()
  })

  test('nor before any other that may be in the log: those are repeated one by one', async () => {
    const stage = await proven()
    const [a, b, c] = await stage.fly('a', 'b', 'c')
    const before = stage.lane1.requests.length
    a!.request.refuse(TIMED_OUT)
    b!.request.refuse(TIMED_OUT)
    c!.request.answer([{ baseOffset: 3 }])
    stage.send({ value: 'new' })
    await stage.pass(BACKOFF_MS)
    stage.lane1.newest.answer([{ baseOffset: 1 }])
    await stage.pass(10)
    expect(stage.wire(before)).toEqual(['epoch 0 sequence 1: a', 'epoch 0 sequence 2: b'])
    stage.lane1.newest.answer([{ baseOffset: 2 }])
    await stage.settle()
    expect(stage.wire(before + 2)).toEqual(['epoch 0 sequence 4: new'])
  })

  test('a back-off doubles with each attempt of the batch', async () => {
    const stage = await proven()
    await stage.fly('a')
    for (const waitMs of [100, 200, 400, 800, 1_000, 1_000]) {
      const before = stage.lane1.requests.length
      stage.lane1.newest.refuse(NOT_ENOUGH_REPLICAS)
      await stage.pass(waitMs - 1)
      expect(stage.lane1.requests.length).toBe(before)
      await stage.pass(1)
      expect(stage.lane1.requests.length).toBe(before + 1)
    }
    await stage.finish()
  })

  test('records sent meanwhile wait behind it, in one batch', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    a!.request.refuse(NOT_ENOUGH_REPLICAS)
    stage.send({ value: 'b' })
    stage.send({ value: 'c' })
    const before = stage.lane1.requests.length
    await stage.pass(BACKOFF_MS)
    stage.lane1.newest.answer()
    await stage.settle()
    expect(stage.wire(before)).toEqual(['epoch 0 sequence 1: a', 'epoch 0 sequence 2: b c'])
    await stage.finish()
  })

  test('a checksum that did not arrive well is made anew, over the same bytes', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    // What was wrong with it: byte 17 is the first of the checksum.
    a!.request.only.view[17]! ^= 0xff
    a!.request.refuse(2)
    await stage.pass(BACKOFF_MS)
    expect(stage.lane1.newest.only.bytes).toEqual(a!.request.only.bytes)
    await stage.finish()
  })

  test('metadata is asked for when the error says that it is out of date', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    stage.refreshes.length = 0
    a!.request.refuse(NOT_ENOUGH_REPLICAS)
    expect(stage.refreshes).toEqual([])
    await stage.pass(BACKOFF_MS)
    stage.lane1.newest.refuse(NOT_LEADER)
    expect(stage.refreshes).toEqual(['NOT_LEADER_OR_FOLLOWER'])
    await stage.finish()
  })

  test('past `retries` it fails, with what the broker said and how often it was tried', async () => {
    const stage = await proven({ producer: { retries: 2 } })
    const [a] = await stage.fly('a')
    for (let i = 0; i < 3; i++) {
      stage.lane1.newest.refuse(NOT_ENOUGH_REPLICAS, { errorMessage: '1 of 2 in sync' })
      await stage.pass(1_000)
    }
    expect(a!.sent.outcome).toBe('NOT_ENOUGH_REPLICAS, persisted no')
    expect(a!.sent.error).toMatchObject({ attempts: 3, topic: 'topic', partition: 0, retriable: true })
    expect(a!.sent.error!.message).toContain('1 of 2 in sync')
    stage.expectEmpty()
  })
})

describe('without idempotence', () => {
  test('one request in flight keeps the order: nothing passes a batch that is to be repeated', async () => {
    const stage = new OnePartition({ producer: { enableIdempotence: false, maxInFlightRequestsPerConnection: 1 } })
    stage.send({ value: 'a' })
    await stage.settle()
    stage.send({ value: 'b' })
    stage.lane1.newest.refuse(NOT_ENOUGH_REPLICAS)
    await stage.pass(BACKOFF_MS)
    stage.lane1.drop()
    stage.lane1.open()
    await stage.pass(2 * BACKOFF_MS)
    stage.lane1.newest.answer()
    await stage.settle()
    expect(stage.wire().map((line) => line.split(': ')[1])).toEqual(['a', 'a', 'a', 'b'])
  })

  test('five in flight do not wait for one another; what was lost may be stored twice', async () => {
    const stage = new OnePartition({ producer: { enableIdempotence: false } })
    const [a, b] = await stage.fly('a', 'b')
    a!.request.refuse(TIMED_OUT)
    b!.request.answer([{ baseOffset: 1 }])
    await stage.pass(BACKOFF_MS)
    expect(stage.wire(2)).toEqual(['epoch -1 sequence -1: a'])
    stage.lane1.newest.refuse(TOPIC_AUTHORIZATION_FAILED)
    expect([a!.sent.outcome, b!.sent.outcome]).toEqual(['TOPIC_AUTHORIZATION_FAILED, persisted possibly', 'offset 1'])
  })
})

describe('attempts', () => {
  test('an error names all of them; those that failed only for the batch before them are no `retries`', async () => {
    const stage = await proven({ producer: { retries: 1 } })
    const [a, b] = await stage.fly('a', 'b')
    for (let i = 0; i < 2; i++) {
      stage.flying.forEach((request, at) => {
        request.refuse(at === 0 ? NOT_ENOUGH_REPLICAS : OUT_OF_ORDER)
      })
      await stage.pass(BACKOFF_MS)
    }
    expect(a!.sent.error).toMatchObject({ code: 'NOT_ENOUGH_REPLICAS', attempts: 2 })
    expect(b!.sent.outcome).toBe('out')
    stage.lane1.newest.refuse(NOT_ENOUGH_REPLICAS)
    await stage.pass(BACKOFF_MS)
    stage.lane1.newest.refuse(NOT_ENOUGH_REPLICAS)
    expect(b!.sent.error).toMatchObject({ code: 'NOT_ENOUGH_REPLICAS', attempts: 3 })
    stage.expectEmpty()
  })
})

describe('rebase: a sequence that was used will never arrive', () => {
  test('what follows goes again in a new epoch, from sequence 0 and in order', async () => {
    const stage = await proven()
    const [a, b, c, d] = await stage.fly('a', 'b', 'c', 'd')
    const before = stage.lane1.requests.length
    a!.request.answer([{ baseOffset: 1 }])
    b!.request.refuse(TOPIC_AUTHORIZATION_FAILED)
    expect(b!.sent.outcome).toBe('TOPIC_AUTHORIZATION_FAILED, persisted no')
    c!.request.refuse(OUT_OF_ORDER)
    await stage.settle()
    expect(stage.wire(before)).toEqual([])
    d!.request.refuse(OUT_OF_ORDER)
    await stage.settle()
    expect(stage.wire(before)).toEqual(['epoch 1 sequence 0: c'])
    stage.lane1.newest.answer([{ baseOffset: 2 }])
    await stage.settle()
    expect(stage.wire(before)).toEqual(['epoch 1 sequence 0: c', 'epoch 1 sequence 1: d'])
    await stage.finish()
    expect(c!.sent.outcome).toBe('offset 2')
    expect(d!.sent.settledCount).toBe(1)
  })

  test('a refused batch with nothing behind it costs the epoch of the next one', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    a!.request.refuse(TOPIC_AUTHORIZATION_FAILED)
    const before = stage.lane1.requests.length
    await stage.fly('b')
    expect(stage.wire(before)).toEqual(['epoch 1 sequence 0: b'])
    await stage.finish()
  })

  test('a batch that was never sent leaves no hole', async () => {
    const stage = await proven({ producer: { deliveryTimeoutMs: 40_000, requestTimeoutMs: 5_000 } })
    stage.describe('topic', [{ leader: -1, epoch: 1 }])
    const lost = stage.send({ value: 'never sent' })
    await stage.pass(40_010)
    expect(lost.outcome).toBe('DELIVERY_TIMEOUT, persisted no')
    stage.describe('topic', [{ leader: 1, epoch: 2 }])
    const before = stage.lane1.requests.length
    await stage.fly('next')
    expect(stage.wire(before)).toEqual(['epoch 0 sequence 1: next'])
    await stage.finish()
  })

  test('unclear batches are first repeated with their old sequences, one by one, before the new epoch', async () => {
    const stage = await proven({ producer: { deliveryTimeoutMs: 40_000, requestTimeoutMs: 5_000 } })
    const [a] = await stage.fly('a')
    await stage.pass(1_000)
    const [b, c] = await stage.fly('b', 'c')
    stage.send({ value: 'new' })
    stage.lane1.drop()
    // a expires while the broker is away: what it was is unclear, and so are b and c.
    await stage.pass(39_005)
    expect(a!.sent.outcome).toBe('DELIVERY_TIMEOUT, persisted possibly')
    expect(b!.sent.outcome).toBe('out')
    const before = stage.lane1.requests.length
    stage.lane1.open()
    await stage.settle()
    expect(stage.wire(before)).toEqual(['epoch 0 sequence 2: b'])
    // The broker has a and b.
    stage.lane1.newest.answer([{ baseOffset: 2 }])
    await stage.settle()
    expect(stage.wire(before + 1)).toEqual(['epoch 0 sequence 3: c'])
    stage.lane1.newest.answer([{ baseOffset: 3 }])
    await stage.settle()
    expect(stage.wire(before + 2)).toEqual(['epoch 1 sequence 0: new'])
    expect([b!.sent.outcome, c!.sent.outcome]).toEqual(['offset 2', 'offset 3'])
    await stage.finish()
  })

  test('out of order for each of them, oldest first, proves that none of them is in the log', async () => {
    const stage = await proven({ producer: { deliveryTimeoutMs: 40_000, requestTimeoutMs: 5_000 } })
    await stage.fly('a')
    await stage.pass(1_000)
    const [b, c] = await stage.fly('b', 'c')
    stage.lane1.drop()
    await stage.pass(39_005)
    const before = stage.lane1.requests.length
    stage.lane1.open()
    await stage.settle()
    expect(stage.wire(before)).toEqual(['epoch 0 sequence 2: b'])
    stage.lane1.newest.refuse(OUT_OF_ORDER)
    await stage.settle()
    // A leader that has restarted remembers its last batch alone, which may be this one.
    expect(stage.wire(before + 1)).toEqual(['epoch 0 sequence 3: c'])
    stage.lane1.newest.refuse(OUT_OF_ORDER)
    await stage.settle()
    expect(stage.wire(before + 2)).toEqual(['epoch 1 sequence 0: b'])
    stage.lane1.newest.answer([{ baseOffset: 1 }])
    await stage.settle()
    expect(stage.wire(before + 3)).toEqual(['epoch 1 sequence 1: c'])
    await stage.finish()
    expect([b!.sent.settledCount, c!.sent.settledCount]).toEqual([1, 1])
  })

  test('a leader that knows one of them has all in front of it, though it refuses them as out of order', async () => {
    const stage = await proven()
    const [b, c, d, e] = await stage.fly('b', 'c', 'd', 'e')
    stage.lane1.drop()
    await stage.pass(BACKOFF_MS)
    const before = stage.lane1.requests.length
    stage.lane1.open()
    for (const answer of [OUT_OF_ORDER, OUT_OF_ORDER, 0, 0]) {
      await stage.settle()
      if (answer === 0) stage.lane1.newest.answer([{ baseOffset: 70 }])
      else stage.lane1.newest.refuse(answer)
    }
    await stage.finish()
    expect(stage.wire(before)).toEqual([
      'epoch 0 sequence 1: b',
      'epoch 0 sequence 2: c',
      'epoch 0 sequence 3: d',
      'epoch 0 sequence 4: e',
    ])
    // Where they are is forgotten.
    expect([b, c, d, e].map((each) => each!.sent.metadata?.offset)).toEqual([-1, -1, 70, 70])
  })

  test('another leader is asked about all of them again', async () => {
    const stage = await proven()
    const [b, c] = await stage.fly('b', 'c')
    stage.lane1.drop()
    await stage.pass(BACKOFF_MS)
    stage.lane1.open()
    await stage.settle()
    stage.lane1.newest.refuse(OUT_OF_ORDER)
    await stage.settle()
    stage.describe('topic', [{ leader: 2, epoch: 5 }])
    stage.lane1.drop()
    await stage.pass(BACKOFF_MS)
    const lane2 = stage.lane(2)
    lane2.open()
    await stage.settle()
    expect(lane2.newest.only.batch.baseSequence).toBe(1)
    lane2.newest.answer([{ baseOffset: 1 }])
    await stage.settle()
    expect(lane2.newest.only.batch.baseSequence).toBe(2)
    lane2.newest.answer([{ baseOffset: 2 }])
    await stage.finish()
    expect([b, c].map((each) => each!.sent.metadata?.offset)).toEqual([1, 2])
  })

  test('those that were refused are not sent anew when the last of them fails before it could tell', async () => {
    const stage = await proven()
    const [b, c] = await stage.fly('b', 'c')
    stage.lane1.drop()
    await stage.pass(BACKOFF_MS)
    const before = stage.lane1.requests.length
    stage.lane1.open()
    await stage.settle()
    stage.lane1.newest.refuse(OUT_OF_ORDER)
    await stage.settle()
    stage.lane1.newest.refuse(TOPIC_AUTHORIZATION_FAILED)
    await stage.finish()
    expect(stage.wire(before)).toEqual(['epoch 0 sequence 1: b', 'epoch 0 sequence 2: c'])
    expect(b!.sent.error).toMatchObject({ code: 'OUT_OF_ORDER_SEQUENCE_NUMBER', persisted: 'possibly' })
    expect(c!.sent.error).toMatchObject({ code: 'TOPIC_AUTHORIZATION_FAILED', persisted: 'possibly' })
  })

  test('an unclear batch behind one that is surely absent is not repeated for ever', async () => {
    const stage = await proven()
    const [a, b, c] = await stage.fly('a', 'b', 'c')
    const before = stage.lane1.requests.length
    a!.request.refuse(TOPIC_AUTHORIZATION_FAILED)
    b!.request.refuse(OUT_OF_ORDER)
    c!.request.refuse(TIMED_OUT)
    await stage.pass(BACKOFF_MS)
    expect(stage.wire(before)).toEqual(['epoch 0 sequence 3: c'])
    stage.lane1.newest.refuse(OUT_OF_ORDER)
    await stage.settle()
    expect(stage.wire(before + 1)).toEqual(['epoch 1 sequence 0: b'])
    await stage.finish()
    expect([b!.sent.settledCount, c!.sent.settledCount]).toEqual([1, 1])
  })

  test.each([
    ['INVALID_PRODUCER_EPOCH', INVALID_EPOCH],
    ['UNKNOWN_PRODUCER_ID', UNKNOWN_PRODUCER_ID],
  ])('%s proves nothing about other batches: unclear ones keep their sequences', async (_name, code) => {
    const stage = await proven()
    const [a, b] = await stage.fly('a', 'b')
    const before = stage.lane1.requests.length
    a!.request.refuse(TIMED_OUT)
    b!.request.refuse(code)
    await stage.pass(BACKOFF_MS)
    expect(stage.wire(before)).toEqual(['epoch 0 sequence 1: a'])
    stage.lane1.newest.answer([{ baseOffset: 1 }])
    await stage.settle()
    expect(stage.wire(before + 1)).toEqual(['epoch 1 sequence 0: b'])
    await stage.finish()
  })

  test('a broker that refuses every new epoch is not asked in a hot loop', async () => {
    const stage = new OnePartition()
    const sent = stage.send({ value: 'a' })
    await stage.settle()
    for (let answered = 0; answered < 5; answered++) {
      expect(stage.lane1.requests.length).toBe(answered + 1)
      stage.lane1.newest.refuse(INVALID_EPOCH)
      await stage.pass(BACKOFF_MS - 1)
      expect(stage.lane1.requests.length).toBe(answered + 1)
      await stage.pass(1_000)
    }
    expect(stage.wire().map((line) => line.split(':')[0])).toEqual(
      [0, 1, 2, 3, 4, 5].map((epoch) => `epoch ${epoch} sequence 0`),
    )
    await stage.finish()
    expect(sent.outcome).toBe('offset 0')
  })

  test('one batch flies until the first success of the new epoch', async () => {
    const stage = await proven()
    const [a, b] = await stage.fly('a', 'b')
    a!.request.refuse(TOPIC_AUTHORIZATION_FAILED)
    b!.request.refuse(OUT_OF_ORDER)
    stage.send({ value: 'c' })
    await stage.pass(10)
    expect(stage.lane1.flyingCount).toBe(1)
    stage.lane1.newest.answer()
    await stage.fly('d')
    expect(stage.lane1.flyingCount).toBe(2)
    await stage.finish()
  })

  test('one batch flies after a rest of more than a minute: the leader may have forgotten us, and would take any sequence', async () => {
    const stage = await proven()
    await stage.pass(60_001)
    await stage.fly('a')
    stage.send({ value: 'b' })
    await stage.pass(10)
    expect(stage.lane1.flyingCount).toBe(1)
    stage.lane1.newest.answer()
    await stage.fly('c')
    expect(stage.lane1.flyingCount).toBe(2)
    await stage.finish()
  })

  test('a partition that has not rested for so long goes on as it was', async () => {
    const stage = await proven()
    await stage.pass(59_000)
    await stage.fly('a', 'b')
    expect(stage.lane1.flyingCount).toBe(2)
    await stage.finish()
  })

  test('after epoch 32767 comes another producer id, from its first epoch', async () => {
    const stage = new OnePartition({ firstEpoch: 32_766 })
    await stage.prove()
    for (const epoch of [32_766, 32_767]) {
      const [refused] = await stage.fly('refused')
      expect(refused!.request.only.batch).toMatchObject({ producerEpoch: epoch })
      refused!.request.refuse(TOPIC_AUTHORIZATION_FAILED)
      await stage.settle()
    }
    expect(stage.producerIdCount).toBe(1)
    await stage.fly('next')
    const { batch } = stage.lane1.newest.only
    expect(batch).toMatchObject({ producerEpoch: 32_766, baseSequence: 0 })
    expect(batch.producerId.toNumber()).toBe(1001)
    await stage.finish()
  })
})

describe('ghosts: batches that expire while they fly', () => {
  const QUICK = { producer: { deliveryTimeoutMs: 10_000, requestTimeoutMs: 8_000 } }

  test('settle on time and keep their bytes until the answer, whatever it is', async () => {
    for (const errorCode of [0, NOT_ENOUGH_REPLICAS, TOO_LARGE, INVALID_RECORD, OUT_OF_ORDER]) {
      const stage = await proven(QUICK)
      const [a] = await stage.fly('a')
      await stage.pass(10_010)
      expect(a!.sent.outcome).toBe('DELIVERY_TIMEOUT, persisted possibly')
      expect(stage.core.accumulator.arena.used).toBeGreaterThan(0)
      expect(a!.request.isUntouched).toBe(true)
      a!.request.refuse(errorCode)
      expect(a!.sent.settledCount).toBe(1)
      stage.expectEmpty()
    }
  })

  test('keep their bytes until the connection has ended', async () => {
    const stage = await proven(QUICK)
    const [a] = await stage.fly('a')
    await stage.pass(10_010)
    expect(stage.core.accumulator.arena.used).toBeGreaterThan(0)
    stage.lane1.drop()
    expect(a!.sent.settledCount).toBe(1)
    stage.expectEmpty()
  })

  test('nothing new leaves before they have landed, and then in a new epoch', async () => {
    const stage = await proven(QUICK)
    const [a] = await stage.fly('a')
    await stage.pass(9_000)
    stage.send({ value: 'b' })
    await stage.pass(1_010)
    const before = stage.lane1.requests.length
    await stage.pass(100)
    // b left behind a before it expired.
    expect(before).toBe(3)
    a!.request.answer([{ baseOffset: 1 }])
    stage.lane1.newest.answer([{ baseOffset: 2 }])
    await stage.fly('c')
    expect(stage.wire(before)).toEqual(['epoch 1 sequence 0: c'])
    await stage.finish()
  })
})

describe('too large', () => {
  /** One request with these values, in one batch. */
  async function batchOf(stage: OnePartition, ...values: string[]) {
    const sent = values.map((value) => stage.send({ value }))
    await stage.pass(1)
    return { sent, request: stage.lane1.newest }
  }

  const wide = (letter: string): string => letter.repeat(100)

  test('a batch is split into smaller ones that take its sequences, in order, and each record settles once', async () => {
    const stage = await proven()
    const { sent, request } = await batchOf(stage, wide('a'), wide('b'), wide('c'), wide('d'))
    const before = stage.lane1.requests.length
    request.refuse(TOO_LARGE)
    await stage.pass(10)
    expect(stage.wire(before)).toEqual([
      `epoch 0 sequence 1: ${wide('a')}`,
      `epoch 0 sequence 2: ${wide('b')}`,
      `epoch 0 sequence 3: ${wide('c')}`,
      `epoch 0 sequence 4: ${wide('d')}`,
    ])
    stage.lane1.requests.slice(before).forEach((each, i) => {
      each.answer([{ baseOffset: 10 + i }])
    })
    expect(sent.map(({ outcome }) => outcome)).toEqual(['offset 10', 'offset 11', 'offset 12', 'offset 13'])
    stage.expectEmpty()
  })

  test('halves: the children are as large as half of the batch allows', async () => {
    const stage = await proven()
    const values = Array.from({ length: 8 }, (_, i) => String(i).repeat(100))
    const { request } = await batchOf(stage, ...values)
    const before = stage.lane1.requests.length
    request.refuse(TOO_LARGE)
    await stage.pass(10)
    const children = stage.lane1.requests.slice(before).map(({ only }) => only)
    for (const { bytes } of children) expect(bytes.length).toBeLessThanOrEqual(request.only.bytes.length / 2)
    expect(children.map(({ batch }) => batch.recordCount)).toEqual([3, 3, 2])
    expect(children.map(({ batch }) => batch.baseSequence)).toEqual([1, 4, 7])
    await stage.finish()
  })

  test('they take little more memory than the batch had', async () => {
    const stage = await proven()
    const values = Array.from({ length: 55 }, (_, i) => String(i % 10).repeat(1_100))
    const { request } = await batchOf(stage, ...values)
    const { arena } = stage.core.accumulator
    expect(arena.used).toBe(65_536)
    request.refuse(TOO_LARGE)
    expect(arena.used).toBeLessThan(1.5 * 65_536)
  })

  test('children keep the timestamps of their records', async () => {
    const stage = await proven()
    for (const timestamp of [5_000, 4_000, 7_000]) stage.send({ value: wide('x'), timestamp })
    await stage.pass(1)
    const before = stage.lane1.requests.length
    stage.lane1.newest.refuse(TOO_LARGE)
    await stage.pass(10)
    const batches = stage.lane1.requests.slice(before).map(({ only }) => only.batch)
    expect(batches.flatMap(({ records }) => records!.map(({ timestamp }) => timestamp.toNumber()))).toEqual([
      5_000, 4_000, 7_000,
    ])
    expect(batches.map(({ maxTimestamp }) => maxTimestamp.toNumber())).toEqual([5_000, 4_000, 7_000])
    // The base stays, so that no delta takes more bytes than before.
    expect(batches.map(({ baseTimestamp }) => baseTimestamp.toNumber())).toEqual([5_000, 5_000, 5_000])
    await stage.finish()
  })

  test('children are split again', async () => {
    const stage = await proven()
    const values = Array.from({ length: 8 }, (_, i) => String(i).repeat(100))
    const { sent, request } = await batchOf(stage, ...values)
    request.refuse(TOO_LARGE)
    await stage.pass(10)
    const before = stage.lane1.requests.length
    for (const child of stage.flying) child.refuse(TOO_LARGE)
    await stage.finish()
    const grandchildren = stage.lane1.requests.slice(before).map(({ only }) => only.batch)
    expect(grandchildren.flatMap(({ records }) => records!.map(({ value }) => Buffer.from(value!).toString()))).toEqual(
      values,
    )
    expect(grandchildren.map(({ baseSequence }) => baseSequence)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    for (const each of sent) expect(each.settledCount).toBe(1)
  })

  test('while later batches fly: those go again behind the children, with their own sequences', async () => {
    const stage = await proven()
    const { request } = await batchOf(stage, wide('a'), wide('b'))
    const [c] = await stage.fly('c')
    const before = stage.lane1.requests.length
    request.refuse(TOO_LARGE)
    c!.request.refuse(OUT_OF_ORDER)
    await stage.finish()
    expect(stage.wire(before)).toEqual([
      `epoch 0 sequence 1: ${wide('a')}`,
      `epoch 0 sequence 2: ${wide('b')}`,
      'epoch 0 sequence 3: c',
    ])
    expect(c!.sent.settledCount).toBe(1)
  })

  test('across the end of the sequences: they go on at 0', async () => {
    const stage = await proven()
    stage.only.sequences.nextSequence = 2_147_483_646
    const { sent } = await batchOf(stage, wide('a'), wide('b'), wide('c'), wide('d'))
    expect(stage.lane1.newest.sequences).toEqual([2_147_483_646])
    const before = stage.lane1.requests.length
    stage.lane1.newest.refuse(TOO_LARGE)
    await stage.pass(10)
    expect(stage.lane1.requests.slice(before).flatMap(({ sequences }) => sequences)).toEqual([
      2_147_483_646, 2_147_483_647, 0, 1,
    ])
    await stage.fly('next')
    expect(stage.lane1.newest.sequences).toEqual([2])
    await stage.finish()
    expect(sent.map(({ settledCount }) => settledCount)).toEqual([1, 1, 1, 1])
  })

  test('the batches of the topic stay smaller from then on', async () => {
    const stage = await proven()
    const values = Array.from({ length: 8 }, (_, i) => String(i).repeat(100))
    const { request } = await batchOf(stage, ...values)
    request.refuse(TOO_LARGE)
    await stage.finish()
    const before = stage.lane1.requests.length
    for (const value of values) stage.send({ value })
    await stage.pass(10)
    for (const { only } of stage.lane1.requests.slice(before)) {
      expect(only.bytes.length).toBeLessThanOrEqual(request.only.bytes.length / 2)
    }
    await stage.finish()
  })

  test('a record alone fails, and says how large it is', async () => {
    const stage = await proven()
    const [a] = await stage.fly(wide('a'))
    a!.request.refuse(TOO_LARGE)
    expect(a!.sent.outcome).toBe('MESSAGE_TOO_LARGE, persisted no')
    expect(a!.sent.error!.message).toContain(String(a!.request.only.bytes.length))
    expect(a!.sent.error!.hint).toContain('max.message.bytes')
    stage.expectEmpty()
  })

  test('one record that is too large does not take its neighbours along', async () => {
    const stage = await proven()
    const { sent, request } = await batchOf(stage, 'small', wide('large'), 'small too')
    const before = stage.lane1.requests.length
    request.refuse(TOO_LARGE)
    await stage.pass(10)
    for (let i = 0; i < 20 && stage.flying.length > 0; i++) {
      for (const each of stage.flying) {
        if (each.only.bytes.length > 300) each.refuse(TOO_LARGE)
        else if (stage.wire(before).some((line) => line.includes('large'))) each.answer()
      }
      await stage.pass(10)
    }
    await stage.finish()
    expect(sent.map(({ outcome }) => outcome.split(',')[0])).toEqual(['offset 0', 'MESSAGE_TOO_LARGE', 'offset 0'])
  })

  test('a batch that may be in the log is never split', async () => {
    const stage = await proven()
    const { sent, request } = await batchOf(stage, wide('a'), wide('b'))
    request.refuse(TIMED_OUT)
    await stage.pass(BACKOFF_MS)
    stage.lane1.newest.refuse(TOO_LARGE)
    expect(sent.map(({ outcome }) => outcome)).toEqual(Array(2).fill('MESSAGE_TOO_LARGE, persisted possibly'))
    stage.expectEmpty()
  })

  test('without idempotence it is split just the same', async () => {
    const stage = await proven({ producer: { enableIdempotence: false } })
    const { sent, request } = await batchOf(stage, wide('a'), wide('b'))
    const before = stage.lane1.requests.length
    request.refuse(TOO_LARGE)
    await stage.pass(10)
    expect(stage.wire(before)).toEqual([`epoch -1 sequence -1: ${wide('a')}`, `epoch -1 sequence -1: ${wide('b')}`])
    await stage.finish()
    expect(sent.map(({ settledCount }) => settledCount)).toEqual([1, 1])
  })
})

describe('errors of single records', () => {
  const recordErrors = (...faults: [number, string | null][]) =>
    faults.map(([batchIndex, batchIndexErrorMessage]) => ({ batchIndex, batchIndexErrorMessage }))

  test('the culprits fail, each with its own words; the others go again in a new epoch, in order', async () => {
    const stage = await proven()
    const sent = ['a', 'b', 'c', 'd'].map((value) => stage.send({ value }))
    await stage.pass(1)
    const before = stage.lane1.requests.length
    stage.lane1.newest.refuse(INVALID_RECORD, {
      recordErrors: recordErrors([1, 'no key'], [3, null]),
      errorMessage: 'two records are wrong',
    })
    await stage.settle()
    expect(sent.map(({ outcome }) => outcome)).toEqual([
      'out',
      'INVALID_RECORD, persisted no',
      'out',
      'INVALID_RECORD, persisted no',
    ])
    expect(sent[1]!.error!.message).toContain('no key')
    expect(sent[3]!.error!.message).toContain('two records are wrong')
    expect(stage.wire(before)).toEqual(['epoch 1 sequence 0: a c'])
    stage.lane1.newest.answer([{ baseOffset: 5 }])
    expect([sent[0]!.outcome, sent[2]!.outcome]).toEqual(['offset 5', 'offset 6'])
    stage.expectEmpty()
  })

  test('all of them wrong: nothing is left to send', async () => {
    const stage = await proven()
    const sent = ['a', 'b'].map((value) => stage.send({ value }))
    await stage.pass(1)
    const before = stage.lane1.requests.length
    stage.lane1.newest.refuse(INVALID_RECORD, { recordErrors: recordErrors([0, 'x'], [1, 'y']) })
    await stage.pass(10)
    expect(sent.map(({ outcome }) => outcome)).toEqual(Array(2).fill('INVALID_RECORD, persisted no'))
    expect(stage.wire(before)).toEqual([])
    stage.expectEmpty()
  })

  test('the rest keeps the timestamps of its records, and their base', async () => {
    const stage = await proven()
    for (const timestamp of [5_000, 9_000, 4_000]) stage.send({ timestamp })
    await stage.pass(1)
    stage.lane1.newest.refuse(INVALID_RECORD, { recordErrors: recordErrors([0, 'x']) })
    await stage.settle()
    const { batch } = stage.lane1.newest.only
    expect(batch.baseTimestamp.toNumber()).toBe(5_000)
    expect(batch.maxTimestamp.toNumber()).toBe(9_000)
    expect(batch.records!.map(({ timestamp }) => timestamp.toNumber())).toEqual([9_000, 4_000])
    await stage.finish()
  })

  test('what flies behind goes again behind the rest', async () => {
    const stage = await proven()
    stage.send({ value: 'a' })
    stage.send({ value: 'b' })
    await stage.pass(1)
    const first = stage.lane1.newest
    const [c] = await stage.fly('c')
    const before = stage.lane1.requests.length
    first.refuse(INVALID_RECORD, { recordErrors: recordErrors([0, 'x']) })
    await stage.settle()
    expect(stage.wire(before)).toEqual([])
    c!.request.refuse(OUT_OF_ORDER)
    await stage.finish()
    expect(stage.wire(before)).toEqual(['epoch 1 sequence 0: b', 'epoch 1 sequence 1: c'])
  })

  test('the rest may be found wrong again', async () => {
    const stage = await proven()
    const sent = ['a', 'b', 'c'].map((value) => stage.send({ value }))
    await stage.pass(1)
    stage.lane1.newest.refuse(INVALID_RECORD, { recordErrors: recordErrors([0, 'x']) })
    await stage.settle()
    stage.lane1.newest.refuse(INVALID_RECORD, { recordErrors: recordErrors([1, 'y']) })
    await stage.finish()
    expect(sent.map(({ outcome }) => outcome)).toEqual([
      'INVALID_RECORD, persisted no',
      'offset 0',
      'INVALID_RECORD, persisted no',
    ])
  })

  test('without idempotence the rest goes again at once', async () => {
    const stage = await proven({ producer: { enableIdempotence: false } })
    const sent = ['a', 'b'].map((value) => stage.send({ value }))
    await stage.pass(1)
    const before = stage.lane1.requests.length
    stage.lane1.newest.refuse(INVALID_RECORD, { recordErrors: recordErrors([0, 'x']) })
    await stage.settle()
    expect(stage.wire(before)).toEqual(['epoch -1 sequence -1: b'])
    await stage.finish()
    expect(sent[0]!.outcome).toBe('INVALID_RECORD, persisted no')
  })
})

describe('fatal errors', () => {
  test('fail everything that is out, and what comes after, with the same error', async () => {
    const stage = await proven()
    const [a, b] = await stage.fly('a', 'b')
    const waiting = stage.send({ value: 'c' })
    a!.request.refuse(CLUSTER_AUTHORIZATION_FAILED)
    await stage.settle()
    expect(a!.sent.outcome).toBe('CLUSTER_AUTHORIZATION_FAILED, persisted no')
    expect(b!.sent.outcome).toBe('CLUSTER_AUTHORIZATION_FAILED, persisted possibly')
    expect(waiting.outcome).toBe('CLUSTER_AUTHORIZATION_FAILED, persisted no')
    expect(a!.sent.error).toMatchObject({ fatal: true, retriable: false })
    expect(stage.core.state.kind).toBe('failed')
    // b still flies: its bytes come back with its answer.
    b!.request.answer()
    stage.expectEmpty()
  })

  test('in the middle of an answer leave the other batches of the request settled once', async () => {
    const stage = new OnePartition()
    stage.describe('topic', [1, 1, 1])
    const sent = [0, 1, 2].map((partition) => stage.send({ partition }))
    await stage.settle()
    stage.lane1.newest.answer([{ index: 0 }, { index: 1, errorCode: CLUSTER_AUTHORIZATION_FAILED }, { index: 2 }])
    expect(sent.map(({ outcome }) => outcome)).toEqual([
      'offset 0',
      'CLUSTER_AUTHORIZATION_FAILED, persisted no',
      'CLUSTER_AUTHORIZATION_FAILED, persisted possibly',
    ])
    stage.expectEmpty()
  })
})

describe('what the record is told', () => {
  test('offsets count up through the batch; the append time stands in for its own timestamp when there is one', async () => {
    const stage = await proven()
    const sent = [1_000, 2_000].map((timestamp) => stage.send({ timestamp, key: 'k', value: 'vv' }))
    await stage.pass(1)
    stage.lane1.newest.answer([{ baseOffset: 40 }])
    expect(sent.map(({ metadata }) => metadata)).toEqual([
      { topic: 'topic', partition: 0, offset: 40, timestamp: 1_000, serializedKeySize: 1, serializedValueSize: 2 },
      { topic: 'topic', partition: 0, offset: 41, timestamp: 2_000, serializedKeySize: 1, serializedValueSize: 2 },
    ])
    const late = stage.send({ timestamp: 3_000 })
    await stage.pass(1)
    stage.lane1.newest.answer([{ baseOffset: 42, logAppendTimeMs: 9_000 }])
    expect(late.metadata).toMatchObject({ offset: 42, timestamp: 9_000 })
    stage.expectEmpty()
  })

  test('a duplicate is a success without an offset', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    a!.request.refuse(46)
    expect(a!.sent.outcome).toBe('offset -1')
    expect(a!.sent.metadata!.timestamp).toBe(stage.clock.wallTimeMs() - 1)
    stage.expectEmpty()
  })

  test('a lost connection is named as what ended the last attempt', async () => {
    const stage = await proven({ producer: { retries: 1 } })
    const [a] = await stage.fly('a')
    for (let i = 0; i < 2; i++) {
      stage.lane1.drop()
      stage.lane1.open()
      await stage.pass(1_000)
    }
    expect(a!.sent.outcome).toBe('CONNECTION_CLOSED, persisted possibly')
    expect(a!.sent.error!.message).toContain('broker 1 at fake-1:9092 closed the connection')
    expect(a!.sent.error!.message).not.toContain('refused')
    stage.expectEmpty()
  })
})
