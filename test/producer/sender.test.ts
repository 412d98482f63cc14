// The I/O loop: what leaves when, in which requests, and how answers come back. The producer is whole but for its network.
import { afterEach, describe, expect, test } from 'vitest'
import { metricsOf } from '../../src/producer/health.ts'
import type { FakeLane, FakeRequest } from '../support/producer/fake-lane.ts'
import { describeBatch, expectNothingLeft, OnePartition, type Sent, Stage, watch } from '../support/producer/stage.ts'

afterEach(expectNothingLeft)

const NOT_ENOUGH_REPLICAS = 19
const TOPIC_AUTHORIZATION_FAILED = 29
const BACKOFF_MS = 100
const KIB = 1_024

async function proven(options?: ConstructorParameters<typeof OnePartition>[0]): Promise<OnePartition> {
  const stage = new OnePartition(options)
  await stage.prove()
  return stage
}

/** `topic` with so many partitions, all led by node 1 and proven. */
async function manyPartitions(count: number, options?: ConstructorParameters<typeof OnePartition>[0]) {
  const stage = new OnePartition(options)
  stage.describe('topic', Array(count).fill(1))
  for (let partition = 0; partition < count; partition++) stage.send({ partition, value: 'first' })
  await stage.pass(1)
  for (const request of stage.flying) request.answer()
  await stage.settle()
  return stage
}

const placesOf = ({ batches }: FakeRequest): string[] => batches.map(({ topic, index }) => `${topic}-${index}`)

const wireOf = (lane: FakeLane): string[] => lane.requests.flatMap(({ batches }) => batches.map(describeBatch))

describe('when a request leaves (lingerMs 0)', () => {
  test('never within send: a turn later', async () => {
    const stage = await proven()
    stage.send({ value: 'a' })
    expect(stage.flying).toEqual([])
    stage.clock.turn()
    expect(stage.flying.length).toBe(1)
  })

  test('with nothing flying everything of one turn leaves at once, in one batch', async () => {
    const stage = await proven()
    for (const value of ['a', 'b', 'c']) stage.send({ value })
    await stage.settle()
    expect(stage.wire(1)).toEqual(['epoch 0 sequence 1: a b c'])
  })

  test('while something flies, part-filled batches wait for 1 ms after the last request', async () => {
    const stage = await proven()
    stage.send({ value: 'a' })
    await stage.settle()
    stage.send({ value: 'b' })
    await stage.pass(0.5)
    stage.send({ value: 'c' })
    await stage.pass(0.4)
    expect(stage.wire(2)).toEqual([])
    await stage.pass(0.1)
    expect(stage.wire(2)).toEqual(['epoch 0 sequence 2: b c'])
  })

  test('or for the next answer, in the same event', async () => {
    const stage = await proven()
    stage.send({ value: 'a' })
    await stage.settle()
    stage.send({ value: 'b' })
    await stage.settle()
    expect(stage.wire(2)).toEqual([])
    stage.lane1.newest.answer()
    expect(stage.wire(2)).toEqual(['epoch 0 sequence 2: b'])
  })

  test('an answer lets one request go; the next records gather again', async () => {
    const stage = await proven()
    const [a, b] = await stage.fly('a', 'b')
    a!.request.answer()
    stage.send({ value: 'c' })
    await stage.settle()
    stage.send({ value: 'd' })
    await stage.settle()
    expect(stage.wire(3)).toEqual(['epoch 0 sequence 3: c'])
    b!.request.answer()
    await stage.settle()
    expect(stage.wire(4)).toEqual(['epoch 0 sequence 4: d'])
  })

  test('full batches of 256 KiB together leave at once, without those that are part-filled', async () => {
    const stage = await manyPartitions(5, { producer: { batchSize: 64 * KIB } })
    stage.send({ partition: 0 })
    await stage.settle()
    const before = stage.lane1.requests.length
    const half = 'x'.repeat(40 * KIB)
    for (const partition of [1, 2, 3, 4]) stage.send({ partition, value: half })
    await stage.settle()
    // The second closes the first: 40 KiB each, which is too little still.
    for (const partition of [1, 2, 3, 4]) stage.send({ partition, value: half })
    await stage.settle()
    expect(stage.lane1.requests.length).toBe(before)
    const quarter = 'x'.repeat(60 * KIB)
    for (const partition of [1, 2, 3, 4]) stage.send({ partition, value: quarter })
    await stage.settle()
    expect(stage.lane1.requests.length).toBe(before)
    await stage.pass(1)
    expect(stage.lane1.requests.length).toBe(before + 1)
  })

  test('256 KiB of closed batches do not wait', async () => {
    const stage = await manyPartitions(6, { producer: { batchSize: 64 * KIB } })
    stage.send({ partition: 0 })
    await stage.settle()
    const before = stage.lane1.requests.length
    const nearlyFull = 'x'.repeat(63 * KIB)
    for (const partition of [1, 2, 3, 4, 5]) {
      stage.send({ partition, value: nearlyFull })
      stage.send({ partition, value: nearlyFull })
    }
    await stage.settle()
    const requests = stage.lane1.requests.slice(before)
    expect(requests.map(placesOf)).toEqual([['topic-1', 'topic-2', 'topic-3', 'topic-4', 'topic-5']])
    expect(requests[0]!.batches.map(({ batch }) => batch.recordCount)).toEqual([1, 1, 1, 1, 1])
  })

  test('up to maxInFlightRequestsPerConnection; the next one leaves with the first answer', async () => {
    const stage = await proven()
    const flown = await stage.fly('a', 'b', 'c', 'd', 'e')
    stage.send({ value: 'f' })
    await stage.pass(10)
    expect(stage.lane1.flyingCount).toBe(5)
    flown[0]!.request.answer()
    expect(stage.lane1.flyingCount).toBe(5)
    expect(describeBatch(stage.lane1.newest.only)).toBe('epoch 0 sequence 6: f')
  })

  test('one at a time with maxInFlightRequestsPerConnection 1', async () => {
    const stage = await proven({ producer: { maxInFlightRequestsPerConnection: 1 } })
    const [a] = await stage.fly('a')
    stage.send({ value: 'b' })
    stage.send({ value: 'c' })
    await stage.pass(10)
    expect(stage.lane1.flyingCount).toBe(1)
    a!.request.answer()
    expect(stage.wire(2)).toEqual(['epoch 0 sequence 2: b c'])
  })
})

describe('lingerMs', () => {
  const LINGER = { producer: { lingerMs: 50 } }

  /** Proven, with nothing flying. */
  async function lingering(): Promise<OnePartition> {
    const stage = new OnePartition(LINGER)
    stage.send({ value: 'first' })
    await stage.pass(50)
    stage.lane1.newest.answer()
    await stage.settle()
    return stage
  }

  test('a part-filled batch waits that long, from its first record', async () => {
    const stage = await lingering()
    stage.send({ value: 'a' })
    await stage.pass(30)
    stage.send({ value: 'b' })
    await stage.pass(19)
    expect(stage.wire(1)).toEqual([])
    await stage.pass(1)
    expect(stage.wire(1)).toEqual(['epoch 0 sequence 1: a b'])
  })

  test('a batch that is full does not wait', async () => {
    const stage = await lingering()
    stage.send({ value: 'x'.repeat(40 * KIB) })
    stage.send({ value: 'y'.repeat(40 * KIB) })
    await stage.settle()
    expect(stage.lane1.newest.only.batch.recordCount).toBe(1)
    expect(stage.lane1.requests.length).toBe(2)
  })

  test('flush overrides it, for what was sent before the call', async () => {
    const stage = await lingering()
    stage.send({ value: 'a' })
    await stage.settle()
    stage.core.generations.flush(() => {})
    stage.core.askForTurn()
    stage.send({ value: 'later' })
    await stage.settle()
    expect(stage.wire(1)).toEqual(['epoch 0 sequence 1: a'])
    await stage.pass(49)
    expect(stage.wire(2)).toEqual([])
    await stage.pass(1)
    expect(stage.wire(2)).toEqual(['epoch 0 sequence 2: later'])
  })

  test('flush overrides it for an open batch that nothing follows', async () => {
    const stage = await lingering()
    stage.send({ value: 'a' })
    await stage.settle()
    stage.core.generations.flush(() => {})
    stage.core.askForTurn()
    await stage.settle()
    expect(stage.wire(1)).toEqual(['epoch 0 sequence 1: a'])
  })

  test('closing overrides it', async () => {
    const stage = await lingering()
    stage.send({ value: 'a' })
    stage.core.sender.isDraining = true
    await stage.settle()
    expect(stage.wire(1)).toEqual(['epoch 0 sequence 1: a'])
  })

  test('a record that found no room overrides it', async () => {
    const producer = { lingerMs: 10_000, bufferMemory: 32 * KIB, batchSize: 8 * KIB }
    const stage = new OnePartition({ producer })
    const value = 'x'.repeat(4_000)
    const sent: Sent[] = []
    while (stage.core.line.isEmpty) sent.push(stage.send({ value }))
    const fitting = sent.length - 1
    await stage.settle()
    expect(stage.flying.length).toBe(1)
    for (let i = 0; i < 20 && stage.core.generations.outstanding > 0; i++) {
      for (const request of stage.flying) request.answer()
      await stage.pass(1)
    }
    expect(sent.slice(0, fitting).map(({ settledCount }) => settledCount)).toEqual(Array(fitting).fill(1))
    // Under no pressure any more, the last one lingers.
    await stage.pass(10_000)
    for (const request of stage.flying) request.answer()
    expect(sent.at(-1)!.settledCount).toBe(1)
    stage.expectEmpty()
  })

  test('even for part-filled batches of other partitions', async () => {
    const producer = { lingerMs: 10_000, bufferMemory: 32 * KIB, batchSize: 8 * KIB }
    const stage = new OnePartition({ producer })
    stage.describe('topic', [1, 1])
    stage.send({ partition: 1, value: 'small' })
    await stage.settle()
    expect(stage.flying).toEqual([])
    while (stage.core.line.isEmpty) stage.send({ partition: 0, value: 'x'.repeat(7_000) })
    await stage.settle()
    expect(stage.flying.flatMap(placesOf)).toContain('topic-1')
  })

  test('a retry does not linger', async () => {
    const stage = await lingering()
    stage.send({ value: 'a' })
    await stage.pass(50)
    stage.lane1.newest.refuse(NOT_ENOUGH_REPLICAS)
    await stage.pass(BACKOFF_MS)
    expect(stage.wire(2)).toEqual(['epoch 0 sequence 1: a'])
  })
})

describe('what is in a request', () => {
  test('one batch a partition, of every partition that has something', async () => {
    const stage = await manyPartitions(3)
    const before = stage.lane1.requests.length
    const large = 'x'.repeat(40 * KIB)
    for (const partition of [0, 0, 1, 2]) stage.send({ partition, value: large })
    await stage.settle()
    expect(stage.lane1.requests.slice(before).map(placesOf)).toEqual([['topic-0', 'topic-1', 'topic-2']])
    await stage.pass(1)
    expect(stage.lane1.requests.slice(before + 1).map(placesOf)).toEqual([['topic-0']])
  })

  test('up to maxRequestSize; those that were left out come first in the next one', async () => {
    const stage = await manyPartitions(4, { producer: { maxRequestSize: 100 * KIB } })
    const before = stage.lane1.requests.length
    for (const partition of [0, 1, 2, 3]) stage.send({ partition, value: 'x'.repeat(40 * KIB) })
    stage.send({ partition: 0, value: 'y'.repeat(40 * KIB) })
    await stage.pass(3)
    expect(stage.lane1.requests.slice(before).map(placesOf)).toEqual([
      ['topic-0', 'topic-1'],
      ['topic-2', 'topic-3'],
      ['topic-0'],
    ])
  })

  test('topics by id at version 13 when every one of them has one', async () => {
    const stage = watch(new Stage())
    const id = new Uint8Array(16).fill(7)
    stage.describe('with-id', [1], id)
    stage.lane(1).open()
    stage.send({ topic: 'with-id' })
    await stage.settle()
    expect(stage.lane(1).newest.options.version).toBe(13)
    expect(stage.lane(1).newest.request.topicData).toMatchObject([{ name: 'with-id', topicId: id }])
  })

  test('topics by name at version 12 as soon as one of them has no id', async () => {
    const stage = watch(new Stage())
    stage.describe('with-id', [1], new Uint8Array(16).fill(7))
    stage.describe('without', [1])
    stage.lane(1).open()
    stage.send({ topic: 'with-id' })
    stage.send({ topic: 'without' })
    await stage.settle()
    expect(stage.lane(1).newest.batches.length).toBe(2)
    expect(stage.lane(1).newest.options.version).toBe(12)
  })

  test('acks, and the time that the broker may take', async () => {
    const stage = new OnePartition({ producer: { requestTimeoutMs: 7_000 } })
    await stage.fly('a')
    expect(stage.lane1.newest.request).toMatchObject({ acks: -1, timeoutMs: 7_000, transactionalId: null })
    expect(stage.lane1.newest.options).toMatchObject({ timeoutMs: 7_000, expectsAnswer: true })
  })

  test('a partition that may not send holds up no other', async () => {
    const stage = await manyPartitions(2)
    stage.send({ partition: 0, value: 'a' })
    await stage.settle()
    stage.lane1.newest.refuse(NOT_ENOUGH_REPLICAS)
    stage.send({ partition: 1, value: 'b' })
    stage.send({ partition: 0, value: 'c' })
    await stage.settle()
    expect(placesOf(stage.lane1.newest)).toEqual(['topic-1'])
    stage.lane1.newest.answer()
    await stage.pass(BACKOFF_MS)
    expect(placesOf(stage.lane1.newest)).toEqual(['topic-0'])
    expect(describeBatch(stage.lane1.newest.only)).toContain('a')
  })
})

describe('connections', () => {
  test('are asked for when there is something to send, and the producer id with them', async () => {
    const stage = watch(new Stage())
    stage.describe('topic', [4])
    expect(stage.lanes.size).toBe(0)
    stage.send()
    await stage.settle()
    expect(stage.lane(4).state.kind).toBe('connecting')
    expect(stage.producerIdCount).toBe(1)
    stage.lane(4).open()
    expect(stage.lane(4).flyingCount).toBe(1)
  })

  test('without idempotence no producer id is asked for', async () => {
    const stage = new OnePartition({ producer: { enableIdempotence: false } })
    const [a] = await stage.fly('a')
    expect(stage.producerIdCount).toBe(0)
    const { producerId, producerEpoch, baseSequence } = a!.request.only.batch
    expect([producerId.toNumber(), producerEpoch, baseSequence]).toEqual([-1, -1, -1])
  })

  test('nothing leaves before the producer id is there, and then at once', async () => {
    const stage = new OnePartition()
    stage.producerIdFaults.push(14)
    stage.send()
    await stage.pass(BACKOFF_MS - 1)
    expect(stage.lane1.requests).toEqual([])
    await stage.pass(1)
    expect(stage.wire()).toEqual(['epoch 0 sequence 0: value'])
  })

  test('one that cannot be opened is asked for again, and its records wait', async () => {
    const stage = new OnePartition()
    stage.lane1.drop()
    const sent = stage.send()
    await stage.settle()
    expect(stage.lane1.isWanted).toBe(true)
    stage.lane1.refuse()
    expect(stage.lane1.isWanted).toBe(true)
    expect(stage.refreshes).toContain('CONNECTION_FAILED')
    stage.lane1.open()
    await stage.settle()
    stage.lane1.newest.answer()
    expect(sent.outcome).toBe('offset 0')
  })

  test('that has gone to rest is opened by the next record', async () => {
    const stage = await proven()
    stage.lane1.rest()
    stage.send({ value: 'a' })
    await stage.settle()
    expect(stage.lane1.state.kind).toBe('connecting')
    stage.lane1.open()
    expect(stage.wire(1)).toEqual(['epoch 0 sequence 1: a'])
  })

  test('that ends gives its batches back in their order, to be repeated one at a time', async () => {
    const stage = await proven()
    await stage.fly('a', 'b', 'c')
    stage.lane1.drop()
    stage.lane1.open()
    await stage.pass(BACKOFF_MS)
    expect(stage.wire(4)).toEqual(['epoch 0 sequence 1: a'])
    stage.lane1.newest.answer([{ baseOffset: 1 }])
    await stage.pass(10)
    expect(stage.wire(5)).toEqual(['epoch 0 sequence 2: b'])
    stage.lane1.newest.answer([{ baseOffset: 2 }])
    await stage.pass(10)
    expect(stage.wire(6)).toEqual(['epoch 0 sequence 3: c'])
    expect(stage.refreshes).toContain('CONNECTION_CLOSED')
  })

  test('that ends before a byte left costs no attempt', async () => {
    const stage = await proven({ producer: { retries: 1 } })
    const [a] = await stage.fly('a')
    for (let i = 0; i < 5; i++) {
      stage.lane1.drop(() => false)
      stage.lane1.open()
      await stage.pass(1_000)
    }
    expect(a!.sent.outcome).toBe('out')
    stage.lane1.newest.refuse(TOPIC_AUTHORIZATION_FAILED)
    expect(a!.sent.outcome).toBe('TOPIC_AUTHORIZATION_FAILED, persisted no')
    expect(a!.sent.error!.attempts).toBe(1)
    stage.expectEmpty()
  })

  test('a quota is kept: nothing leaves before the lane says so', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    stage.lane1.throttledUntil = stage.clock.now() + 500
    a!.request.answer(undefined, { throttleTimeMs: 500 })
    stage.send({ value: 'b' })
    await stage.pass(499)
    expect(stage.wire(2)).toEqual([])
    await stage.pass(1)
    stage.lane1.tell()
    expect(stage.wire(2)).toEqual(['epoch 0 sequence 2: b'])
  })

  test('nothing more is given to a socket that has not taken everything yet', async () => {
    const stage = await proven()
    await stage.fly('a')
    stage.lane1.unsentBytes = 100
    stage.send({ value: 'b' })
    await stage.pass(10)
    expect(stage.wire(2)).toEqual([])
    stage.lane1.unsentBytes = 0
    stage.lane1.tell()
    expect(stage.wire(2)).toEqual(['epoch 0 sequence 2: b'])
  })
})

describe('a broker that speaks no version of Produce that will do', () => {
  test('fails the records as not stored, once each, and frees their bytes', async () => {
    const stage = new OnePartition()
    stage.lane1.versions = { min: 0, max: 2 }
    const sent = [stage.send(), stage.send()]
    await stage.settle()
    expect(sent.map(({ outcome }) => outcome)).toEqual(Array(2).fill('UNSUPPORTED_VERSION, persisted no'))
    expect(sent[0]!.error).toMatchObject({
      topic: 'topic',
      partition: 0,
      broker: 'broker 1 at fake-1:9092',
      attempts: 0,
    })
    stage.expectEmpty()
  })

  test('says of a batch that may be in the log that it may be', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    stage.lane1.drop()
    stage.lane1.versions = { min: 0, max: 2 }
    stage.lane1.open()
    await stage.pass(BACKOFF_MS)
    expect(a!.sent.outcome).toBe('UNSUPPORTED_VERSION, persisted possibly')
    stage.expectEmpty()
  })

  test('fails all that is in the request, and goes on with what comes', async () => {
    const stage = await manyPartitions(2)
    stage.lane1.versions = { min: 0, max: 2 }
    const sent = [0, 1].map((partition) => stage.send({ partition }))
    await stage.settle()
    expect(sent.map(({ settledCount }) => settledCount)).toEqual([1, 1])
    stage.lane1.versions = { min: 0, max: 13 }
    const next = [0, 1].map((partition) => stage.send({ partition }))
    await stage.settle()
    stage.lane1.newest.answer()
    expect(next.map(({ outcome }) => outcome)).toEqual(['offset 0', 'offset 0'])
    stage.expectEmpty()
  })
})

describe('answers', () => {
  test('in any order of partitions', async () => {
    const stage = await manyPartitions(3)
    const sent = [0, 1, 2].map((partition) => stage.send({ partition }))
    await stage.settle()
    stage.lane1.newest.answer([2, 0, 1].map((index) => ({ index, topic: 'topic', baseOffset: 10 + index })))
    expect(sent.map(({ outcome }) => outcome)).toEqual(['offset 10', 'offset 11', 'offset 12'])
    stage.expectEmpty()
  })

  test('that leave a partition out: it goes again, unclear', async () => {
    const stage = await manyPartitions(2)
    const sent = [0, 1].map((partition) => stage.send({ partition }))
    await stage.settle()
    const request = stage.lane1.newest
    request.answer([{ topic: 'topic', index: 0, baseOffset: 5 }])
    expect(sent.map(({ outcome }) => outcome)).toEqual(['offset 5', 'out'])
    await stage.pass(BACKOFF_MS)
    expect(stage.lane1.newest.only.bytes).toEqual(request.batches[1]!.bytes)
    stage.lane1.newest.refuse(TOPIC_AUTHORIZATION_FAILED)
    expect(sent[1]!.outcome).toBe('TOPIC_AUTHORIZATION_FAILED, persisted possibly')
    stage.expectEmpty()
  })

  test('that say something twice: the first word counts', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    a!.request.answer([
      { topic: 'topic', index: 0, baseOffset: 5 },
      { topic: 'topic', index: 0, errorCode: TOPIC_AUTHORIZATION_FAILED },
      { topic: 'topic', index: 0, baseOffset: 6 },
    ])
    expect(a!.sent).toMatchObject({ outcome: 'offset 5', settledCount: 1 })
    stage.expectEmpty()
  })

  test('about topics and partitions that nobody asked about are passed over', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    a!.request.answer([
      { topic: 'another', index: 0, errorCode: TOPIC_AUTHORIZATION_FAILED },
      { topic: 'topic', index: 1, errorCode: TOPIC_AUTHORIZATION_FAILED },
      { topic: 'topic', index: -1 },
      { topic: 'topic', index: 0, baseOffset: 5 },
    ])
    expect(a!.sent.outcome).toBe('offset 5')
    stage.expectEmpty()
  })

  test('that name topics by id are for the topic with this id', async () => {
    const stage = watch(new Stage())
    stage.describe('a', [1], new Uint8Array(16).fill(1))
    stage.describe('b', [1], new Uint8Array(16).fill(2))
    stage.lane(1).open()
    const sent = ['a', 'b'].map((topic) => stage.send({ topic }))
    await stage.settle()
    stage.lane(1).newest.answer([
      { topic: 'b', index: 0, baseOffset: 2 },
      { topic: 'a', index: 0, baseOffset: 1 },
    ])
    expect(sent.map(({ outcome }) => outcome)).toEqual(['offset 1', 'offset 2'])
    stage.expectEmpty()
  })

  test('with nothing in them: everything goes again', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    a!.request.answer([])
    await stage.pass(BACKOFF_MS)
    stage.lane1.newest.answer([{ baseOffset: 3 }])
    expect(a!.sent.outcome).toBe('offset 3')
    stage.expectEmpty()
  })

  test('the next request is on its way before anybody is called back', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    stage.send({ value: 'b' })
    let requestsThen = 0
    a!.sent.onSettled = () => {
      requestsThen = stage.lane1.requests.length
    }
    a!.request.answer()
    expect(requestsThen).toBe(3)
  })
})

describe('acks 0', () => {
  const ACKS_0 = { producer: { acks: 0 as const } }

  test('a record is delivered when its last byte has left, without an offset', async () => {
    const stage = new OnePartition(ACKS_0)
    const sent = stage.send()
    await stage.settle()
    expect(stage.lane1.newest.options.expectsAnswer).toBe(false)
    expect(stage.lane1.newest.request.acks).toBe(0)
    expect(sent.outcome).toBe('out')
    stage.lane1.newest.written()
    expect(sent.outcome).toBe('offset -1')
    stage.expectEmpty()
  })

  test('a connection that ends before that: the record goes again', async () => {
    const stage = new OnePartition(ACKS_0)
    const sent = stage.send()
    await stage.settle()
    stage.lane1.drop()
    expect(sent.outcome).toBe('out')
    stage.lane1.open()
    await stage.pass(BACKOFF_MS)
    stage.lane1.newest.written()
    expect(sent.outcome).toBe('offset -1')
    stage.expectEmpty()
  })

  test('past the last retry it fails as possibly stored', async () => {
    const stage = new OnePartition({ producer: { acks: 0, retries: 0 } })
    const sent = stage.send()
    await stage.settle()
    stage.lane1.drop()
    expect(sent.outcome).toBe('CONNECTION_CLOSED, persisted possibly')
    stage.expectEmpty()
  })
})

describe('bytes that a socket may still read', () => {
  test('an answer that overtakes the write callback settles the record and keeps its bytes', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    a!.request.answer([{ baseOffset: 1 }], { isWritten: false })
    expect(a!.sent.outcome).toBe('offset 1')
    expect(stage.core.accumulator.arena.used).toBeGreaterThan(0)
    await stage.fly('b', 'c')
    expect(a!.request.isUntouched).toBe(true)
    a!.request.written()
    for (const request of stage.flying) request.answer()
    stage.expectEmpty()
  })

  test('their write callback never comes when the connection has ended: then they are free', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    a!.request.answer(undefined, { isWritten: false })
    stage.lane1.drop()
    stage.expectEmpty()
  })

  test('a new epoch is written into a copy', async () => {
    const stage = await proven()
    const [a, b] = await stage.fly('a', 'b')
    a!.request.refuse(TOPIC_AUTHORIZATION_FAILED)
    b!.request.refuse(45, {}, { isWritten: false })
    await stage.settle()
    expect(stage.wire(3)).toEqual(['epoch 1 sequence 0: b'])
    expect(b!.request.isUntouched).toBe(true)
    stage.lane1.newest.answer()
    expect(stage.core.accumulator.arena.used).toBeGreaterThan(0)
    b!.request.written()
    stage.expectEmpty()
  })

  test('a retry carries them again; they come back when both have let go', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    a!.request.refuse(NOT_ENOUGH_REPLICAS, {}, { isWritten: false })
    await stage.pass(BACKOFF_MS)
    const again = stage.lane1.newest
    expect(again.only.bytes).toEqual(a!.request.only.bytes)
    again.answer()
    expect(stage.core.accumulator.arena.used).toBeGreaterThan(0)
    a!.request.written()
    stage.expectEmpty()
  })

  test('a batch is split while they are read', async () => {
    const stage = await proven()
    const sent = ['a', 'b'].map((letter) => stage.send({ value: letter.repeat(200) }))
    await stage.settle()
    const whole = stage.lane1.newest
    whole.refuse(10, {}, { isWritten: false })
    await stage.pass(10)
    expect(whole.isUntouched).toBe(true)
    for (const request of stage.flying) request.answer()
    expect(sent.map(({ settledCount }) => settledCount)).toEqual([1, 1])
    whole.written()
    stage.expectEmpty()
  })
})

describe('the metrics', () => {
  const sentTotal = ({ core }: OnePartition): number => metricsOf(core).recordSendTotal

  test('count a record as sent once, however often its batch flies', async () => {
    const stage = await proven()
    const [, b] = await stage.fly('a', 'b')
    stage.lane1.drop(() => false)
    stage.lane1.open()
    await stage.pass(BACKOFF_MS)
    stage.lane1.newest.answer()
    await stage.pass(1)
    stage.lane1.newest.refuse(NOT_ENOUGH_REPLICAS)
    await stage.pass(BACKOFF_MS)
    await stage.settle()
    expect(b!.sent.outcome).toBe('out')
    expect(sentTotal(stage)).toBe(3)
  })
})

describe('at rest', () => {
  test('no timer is left, and no turn is asked for', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    a!.request.answer()
    await stage.pass(60_000)
    expect(stage.clock.hasTurns).toBe(false)
    expect(stage.clock.pendingDelaysMs).toEqual([])
  })

  test('a wait for a leader wakes nobody before the deadline of its records', async () => {
    const stage = await proven()
    await stage.pass(120_000)
    stage.describe('topic', [{ leader: -1, epoch: 1 }])
    stage.send()
    await stage.settle()
    expect(stage.clock.pendingDelaysMs).toEqual([120_000])
  })

  test('a broker that cannot be reached is not dialled for ever: only as long as records wait for it', async () => {
    const stage = await proven()
    stage.lane1.drop()
    const sent = stage.send()
    await stage.settle()
    expect(stage.lane1.isWanted).toBe(true)
    stage.lane1.refuse()
    await stage.pass(121_000)
    expect(sent.outcome).toBe('DELIVERY_TIMEOUT, persisted no')
    stage.lane1.refuse()
    await stage.pass(10_000)
    expect(stage.lane1.isWanted).toBe(false)
    // The next record has it dialled again.
    stage.send()
    await stage.settle()
    expect(stage.lane1.isWanted).toBe(true)
  })

  test('nor is a cluster that gives no producer id asked for ever', async () => {
    const stage = new OnePartition()
    stage.producerIdFaults.push(...Array(10_000).fill(14))
    const sent = stage.send()
    await stage.pass(121_000)
    expect(sent.outcome).toBe('DELIVERY_TIMEOUT, persisted no')
    const asked = 10_000 - stage.producerIdFaults.length
    expect(asked).toBeGreaterThan(100)
    await stage.pass(60_000)
    expect(10_000 - stage.producerIdFaults.length).toBeLessThanOrEqual(asked + 1)
    expect(stage.clock.pendingDelaysMs).toEqual([])
    stage.producerIdFaults.length = 0
    const next = stage.send()
    await stage.settle()
    stage.lane1.newest.answer()
    expect(next.outcome).toBe('offset 0')
  })

  test('a sender that was stopped sends nothing more, and still hears what becomes of what flies', async () => {
    const stage = await proven()
    const [a] = await stage.fly('a')
    stage.send({ value: 'b' })
    stage.core.sender.stop()
    a!.request.answer()
    await stage.pass(1_000)
    expect(stage.wire(2)).toEqual([])
    expect(a!.sent.settledCount).toBe(1)
  })
})

test('several lanes: each has its own window and its own five requests', async () => {
  const stage = new OnePartition()
  stage.describe('topic', [1, 2])
  const lane2 = stage.lane(2)
  lane2.open()
  stage.send({ partition: 0, value: 'a' })
  await stage.settle()
  stage.send({ partition: 1, value: 'b' })
  await stage.settle()
  expect(wireOf(stage.lane1)).toEqual(['epoch 0 sequence 0: a'])
  expect(wireOf(lane2)).toEqual(['epoch 0 sequence 0: b'])
})
