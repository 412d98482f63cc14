// The fake cluster itself, driven by bytes made by hand: a judge that cannot say no proves nothing. Requests and expected answers are
// written out with the byte builder; batches A, B, C, V2, G2 and the sequence rules are those of the reference vectors.
import crc32c from 'crc-32/crc32c.js'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ByteBuilder, bytes, fromHex } from './byte-builder.ts'
import { deferred } from './fake-cluster/deferred.ts'
import { FakeCluster } from './fake-cluster/fake-cluster.ts'
import { RawClient } from './fake-cluster/raw-client.ts'
import { garbage, otherCorrelationId } from './fake-cluster/wrong-answers.ts'

// One record, null key, "hello", no producer id.
const A =
  '00000000000000000000003dffffffff02e641a44b0000000000000000018bcfe568000000018bcfe56800ffffffffffffffffffffffffffff0000000116000000010a68656c6c6f00'
// Producer 1, epoch 0, sequence 0, two records.
const C =
  '000000000000000000000041ffffffff02afa5ebd10000000000010000018bcfe568000000018bcfe568000000000000000001000000000000000000020c000000000000100013020261026200'
// Base offset 1, as a broker's log has it.
const V2 =
  '0000000000000001000000400000000202c85cbd230000000000010000015dff7cdd6c0000015dff7cde14ffffffffffffffffffffffffffff000000020c0000000100000e00d00202010000'

const NONE = 0
const CORRUPT_MESSAGE = 2
const UNKNOWN_TOPIC_OR_PARTITION = 3
const NOT_LEADER_OR_FOLLOWER = 6
const MESSAGE_TOO_LARGE = 10
const INVALID_REQUIRED_ACKS = 21
const OUT_OF_ORDER_SEQUENCE_NUMBER = 45
const INVALID_PRODUCER_EPOCH = 47
const INVALID_RECORD = 87

let cluster: FakeCluster
let client: RawClient

beforeEach(async () => {
  cluster = await FakeCluster.start({
    brokers: 2,
    topics: { orders: 2, small: { partitions: 1, maxMessageBytes: 77 } },
  })
  client = await RawClient.connect(cluster.address(1))
})

afterEach(async () => {
  client.close()
  await cluster.close()
})

/** Batch C with other numbers, and the CRC made again by the reference package. */
function sequenced(change: { producerId?: number; epoch?: number; sequence?: number }): Uint8Array {
  const batch = Buffer.from(fromHex(C))
  batch.writeBigInt64BE(BigInt(change.producerId ?? 1), 43)
  batch.writeInt16BE(change.epoch ?? 0, 51)
  batch.writeInt32BE(change.sequence ?? 0, 53)
  return withCrc(batch)
}

function withCrc(batch: Uint8Array): Uint8Array {
  const sealed = Buffer.from(batch)
  sealed.writeInt32BE(crc32c.buf(sealed.subarray(21), 0), 17)
  return sealed
}

/** Produce v3, header v1, one partition. */
function produceV3(
  batch: Uint8Array,
  { topic = 'orders', partition = 0, acks = -1, correlationId = 7 } = {},
): Uint8Array {
  return bytes()
    .int16(0)
    .int16(3)
    .int32(correlationId)
    .string('hand')
    .string(null)
    .int16(acks)
    .int32(1000)
    .int32(1)
    .string(topic)
    .int32(1)
    .int32(partition)
    .int32(batch.length)
    .raw(batch)
    .framed()
}

/** The answer to it: correlation id, topic, partition, error, base offset, no time of append, not throttled. */
function answerV3(
  error: number,
  baseOffset: bigint,
  { topic = 'orders', partition = 0, correlationId = 7 } = {},
): ByteBuilder {
  return bytes()
    .int32(correlationId)
    .int32(1)
    .string(topic)
    .int32(1)
    .int32(partition)
    .int16(error)
    .int64(baseOffset)
    .int64(-1n)
    .int32(0)
}

/** Sends one batch and gives the error code and base offset of the answer, read by hand. */
async function produced(batch: Uint8Array, options: Parameters<typeof produceV3>[1] = {}) {
  const frame = await client.ask(produceV3(batch, options))
  const at = 4 + 4 + 2 + (options.topic ?? 'orders').length + 4 + 4
  return { error: frame!.readInt16BE(at), baseOffset: frame!.readBigInt64BE(at + 2) }
}

describe('what a client sends right', () => {
  test('is stored, and the answer is byte for byte what Kafka answers to Produce v3', async () => {
    expect(await client.ask(produceV3(fromHex(A)))).toEqual(Buffer.from(answerV3(NONE, 0n).done()))
    expect(await client.ask(produceV3(fromHex(A)))).toEqual(Buffer.from(answerV3(NONE, 1n).done()))
    expect(cluster.values('orders', 0)).toEqual(['hello', 'hello'])
    expect(cluster.records('orders', 0)[1]).toMatchObject({ offset: 1, timestamp: 1_700_000_000_000, key: null })
    expect(cluster.violations).toEqual([])
  })

  test('is told apart by producer id, epoch and sequence, with its bytes as they came', async () => {
    await produced(fromHex(C))
    expect(cluster.batches('orders', 0)).toMatchObject([
      { producerId: 1, producerEpoch: 0, baseSequence: 0, recordCount: 2, baseOffset: 0, broker: 1 },
    ])
    expect(cluster.batches('orders', 0)[0]!.raw.toString('hex')).toBe(C)
    expect(cluster.records('orders', 0).map((record) => [record.key, record.value?.toString()])).toEqual([
      [Buffer.alloc(0), ''],
      [Buffer.from('a'), 'b'],
    ])
  })

  test('with acks 0 gets no answer at all', async () => {
    client.send(produceV3(fromHex(A), { acks: 0, correlationId: 1 }))
    const frame = await client.ask(produceV3(fromHex(A), { correlationId: 2 }))
    expect(frame!.readInt32BE(0)).toBe(2)
    expect(cluster.count('orders')).toBe(2)
  })

  test('is answered in the order in which it came', async () => {
    const gate = deferred()
    cluster.on('Produce', { nth: 1 }).delay(gate.promise)
    client.send(produceV3(fromHex(A), { correlationId: 1 }))
    client.send(produceV3(fromHex(A), { correlationId: 2 }))
    await cluster.untilSeen('Produce', 2)
    expect(cluster.count('orders')).toBe(0)
    gate.resolve()
    expect((await client.frame())!.readInt32BE(0)).toBe(1)
    expect((await client.frame())!.readInt32BE(0)).toBe(2)
  })
})

describe('a batch that no broker takes', () => {
  test('one with a wrong CRC is CORRUPT_MESSAGE', async () => {
    for (const at of [17, 21, 40, fromHex(A).length - 2]) {
      const flipped = Buffer.from(fromHex(A))
      flipped[at]! ^= 0x01
      expect(await produced(flipped), `byte ${at}`).toMatchObject({ error: CORRUPT_MESSAGE, baseOffset: -1n })
    }
    expect(cluster.count('orders')).toBe(0)
    expect(cluster.violations).toHaveLength(4)
  })

  test.each<[string, (batch: Buffer) => Uint8Array, number]>([
    ['a base offset that is not 0', () => fromHex(V2), INVALID_RECORD],
    ['magic 1', (batch) => withCrc(Buffer.from(batch.fill(1, 16, 17))), INVALID_RECORD],
    ['two batches for one partition', (batch) => Buffer.concat([batch, batch]), INVALID_RECORD],
    ['a batch that is cut short', (batch) => batch.subarray(0, batch.length - 1), INVALID_RECORD],
    ['less than a header', (batch) => batch.subarray(0, 60), CORRUPT_MESSAGE],
    ['no bytes', () => Buffer.alloc(0), INVALID_RECORD],
    ['a control batch', (batch) => withCrc(Buffer.from(batch.fill(0x20, 22, 23))), INVALID_RECORD],
    ['a record count that is too high', (batch) => withCrc(Buffer.from(batch.fill(2, 60, 61))), INVALID_RECORD],
    ['a last offset delta that is too high', (batch) => withCrc(Buffer.from(batch.fill(1, 26, 27))), INVALID_RECORD],
    ['a record longer than the batch', (batch) => withCrc(Buffer.from(batch.fill(0x7e, 61, 62))), INVALID_RECORD],
    ['a producer id without an epoch', (batch) => withCrc(Buffer.from(batch.fill(0, 43, 51))), INVALID_RECORD],
  ])('%s is refused and reported as a violation', async (_name, change, error) => {
    expect(await produced(change(Buffer.from(fromHex(A))))).toEqual({ error, baseOffset: -1n })
    expect(cluster.count('orders')).toBe(0)
    expect(cluster.violations).toHaveLength(1)
  })

  test('one larger than the topic allows is MESSAGE_TOO_LARGE, and one of exactly that size is stored', async () => {
    // A has 73 bytes and C has 77.
    expect(await produced(fromHex(C), { topic: 'small' })).toMatchObject({ error: NONE })
    const larger = Buffer.concat([fromHex(C), Buffer.of(0)])
    larger.writeInt32BE(larger.length - 12, 8)
    expect(await produced(larger, { topic: 'small' })).toMatchObject({ error: MESSAGE_TOO_LARGE })
    expect(cluster.violations).toEqual([])
  })

  test('one for a topic, a partition or a broker that is not there is answered as Kafka does', async () => {
    const where = [{ topic: 'none' }, { partition: 2 }, { partition: -1 }]
    for (const each of where) {
      expect(await produced(fromHex(A), each)).toMatchObject({ error: UNKNOWN_TOPIC_OR_PARTITION })
    }
    expect(await produced(fromHex(A), { partition: 1 })).toMatchObject({ error: NOT_LEADER_OR_FOLLOWER })
    expect(await produced(fromHex(A), { acks: 2 })).toMatchObject({ error: INVALID_REQUIRED_ACKS })
  })

  test('with acks 0 it costs the connection, since nobody can be told', async () => {
    client.send(produceV3(fromHex(A), { topic: 'none', acks: 0 }))
    expect(await client.frame()).toBeUndefined()
  })
})

describe('sequences', () => {
  test('the last five batches of an id are answered again with their first offset and stored once', async () => {
    for (const sequence of [0, 2, 4, 6, 8]) await produced(sequenced({ sequence }))
    for (const sequence of [8, 0, 4]) {
      expect(await produced(sequenced({ sequence }))).toEqual({ error: NONE, baseOffset: BigInt(sequence) })
    }
    expect(cluster.count('orders')).toBe(10)
  })

  test('a duplicate does not move the window of five', async () => {
    for (const sequence of [0, 2, 4, 2, 6]) {
      expect(await produced(sequenced({ sequence })), `${sequence}`).toMatchObject({ error: NONE })
    }
    expect(cluster.count('orders')).toBe(8)
  })

  test('a sixth batch back is out of order', async () => {
    for (const sequence of [0, 2, 4, 6, 8, 10]) await produced(sequenced({ sequence }))
    expect(await produced(sequenced({ sequence: 0 }))).toMatchObject({ error: OUT_OF_ORDER_SEQUENCE_NUMBER })
  })

  test('a gap is out of order, and nothing of it is stored', async () => {
    await produced(sequenced({ sequence: 0 }))
    expect(await produced(sequenced({ sequence: 3 }))).toMatchObject({ error: OUT_OF_ORDER_SEQUENCE_NUMBER })
    expect(await produced(sequenced({ sequence: 1 }))).toMatchObject({ error: OUT_OF_ORDER_SEQUENCE_NUMBER })
    expect(cluster.count('orders')).toBe(2)
  })

  test('a leader that knows nothing of an id takes any first sequence', async () => {
    expect(await produced(sequenced({ sequence: 40 }))).toMatchObject({ error: NONE })
    expect(await produced(sequenced({ sequence: 38 }))).toMatchObject({ error: OUT_OF_ORDER_SEQUENCE_NUMBER })
    cluster.forgetProducers('orders', 0)
    expect(await produced(sequenced({ sequence: 38 }))).toMatchObject({ error: NONE })
  })

  test('a newer epoch begins at 0, and an older one is fenced from then on', async () => {
    await produced(sequenced({ sequence: 0 }))
    expect(await produced(sequenced({ epoch: 1, sequence: 2 }))).toMatchObject({ error: OUT_OF_ORDER_SEQUENCE_NUMBER })
    expect(await produced(sequenced({ epoch: 1, sequence: 0 }))).toMatchObject({ error: NONE })
    expect(await produced(sequenced({ epoch: 0, sequence: 2 }))).toMatchObject({ error: INVALID_PRODUCER_EPOCH })
  })

  test('2147483647 is followed by 0, also within a batch', async () => {
    expect(await produced(sequenced({ sequence: 2_147_483_645 }))).toMatchObject({ error: NONE })
    expect(await produced(sequenced({ sequence: 2_147_483_647 }))).toMatchObject({ error: NONE })
    expect(await produced(sequenced({ sequence: 1 }))).toMatchObject({ error: NONE })
    expect(await produced(sequenced({ sequence: 2 }))).toMatchObject({ error: OUT_OF_ORDER_SEQUENCE_NUMBER })
  })

  test('ids are counted apart', async () => {
    expect(await produced(sequenced({ producerId: 1, sequence: 0 }))).toMatchObject({ error: NONE })
    expect(await produced(sequenced({ producerId: 2, sequence: 0 }))).toMatchObject({ error: NONE })
    expect(await produced(sequenced({ producerId: 1, sequence: 2 }))).toMatchObject({ error: NONE })
  })
})

describe('what no idempotent producer does is reported', () => {
  test('other bytes under a sequence whose answer was lost', async () => {
    await produced(sequenced({ sequence: 0 }))
    cluster.on('Produce').appendThenDrop()
    client.send(produceV3(sequenced({ sequence: 2 })))
    await client.closed()
    client = await RawClient.connect(cluster.address(1))
    const other = Buffer.from(sequenced({ sequence: 2 }))
    other[other.length - 2] = 0x7a
    await produced(withCrc(other))
    expect(cluster.violations.join()).toContain('other bytes than before under the same sequence')
  })

  test('a second batch before the leader accepted the id', async () => {
    await flyTogether(0, 2)
    expect(cluster.violations.join()).toContain('a second batch before the leader accepted id and epoch')
  })

  test('six batches of a partition in flight, not five', async () => {
    await produced(sequenced({ sequence: 0 }))
    await flyTogether(2, 4, 6, 8, 10)
    expect(cluster.violations).toEqual([])
    await flyTogether(12, 14, 16, 18, 20, 22)
    expect(cluster.violations.join()).toContain('5 batches were in flight already')
  })

  test('a batch to the new leader while one is in flight to the old', async () => {
    await produced(sequenced({ sequence: 0 }))
    cluster.on('Produce', { broker: 1 }).swallow()
    client.send(produceV3(sequenced({ sequence: 2 })))
    await cluster.untilSeen('Produce', 2)
    cluster.setLeader('orders', 0, 2)
    const second = await RawClient.connect(cluster.address(2))
    second.send(produceV3(sequenced({ sequence: 4 })))
    await cluster.untilSeen('Produce', 3)
    await judged()
    second.close()
    expect(cluster.violations.join()).toContain('sent to broker 2 while in flight to 1')
  })

  test('a sequence that was left out', async () => {
    await produced(sequenced({ sequence: 0 }))
    expect(await produced(sequenced({ sequence: 4 }))).toMatchObject({ error: OUT_OF_ORDER_SEQUENCE_NUMBER })
    expect(cluster.violations.join()).toContain('sequence 2 is next, and never came')
  })

  test('nothing, when the one that is next was shown and refused', async () => {
    await produced(sequenced({ sequence: 0 }))
    cluster.on('Produce').error('NOT_ENOUGH_REPLICAS')
    await produced(sequenced({ sequence: 2 }))
    expect(await produced(sequenced({ sequence: 4 }))).toMatchObject({ error: OUT_OF_ORDER_SEQUENCE_NUMBER })
    expect(cluster.violations).toEqual([])
  })

  test('nothing, when the old connection was closed before', async () => {
    await produced(sequenced({ sequence: 0 }))
    cluster.on('Produce', { broker: 1 }).swallow()
    client.send(produceV3(sequenced({ sequence: 2 })))
    await cluster.untilSeen('Produce', 2)
    cluster.setLeader('orders', 0, 2)
    const second = await RawClient.connect(cluster.address(2))
    client.close()
    second.send(produceV3(sequenced({ sequence: 2 })))
    await cluster.untilSeen('Produce', 3)
    await judged()
    second.close()
    expect(cluster.violations).toEqual([])
  })

  /** One request for each sequence, all of them received before the first is handled. */
  async function flyTogether(...sequences: number[]): Promise<void> {
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    const before = cluster.seen('Produce').length
    client.send(Buffer.concat(sequences.map((sequence) => produceV3(sequenced({ sequence })))))
    await cluster.untilSeen('Produce', before + sequences.length)
    await judged()
    gate.resolve()
    for (const _ of sequences) await client.frame()
  }

  /** The judge looks two turns after a request came. */
  async function judged(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
  }

  test('a version that was not offered, and bytes that are no request', async () => {
    client.send(bytes().int16(0).int16(2).int32(1).string('hand').framed())
    await client.closed()
    client = await RawClient.connect(cluster.address(1))
    client.send(bytes().int16(3).int16(9).int32(1).string('hand').fill(0xff, 10).framed())
    await client.closed()
    expect(cluster.violations).toHaveLength(2)
  })
})

describe('faults', () => {
  test('work from the nth request that matches, so often, and one after the other', async () => {
    cluster.on('Produce', { partition: 0, nth: 2, times: 2 }).error('NOT_ENOUGH_REPLICAS')
    cluster.on('Produce', { partition: 0, nth: 2 }).error('REQUEST_TIMED_OUT')
    const errors = []
    for (let index = 0; index < 5; index++) errors.push((await produced(fromHex(A))).error)
    expect(errors).toEqual([NONE, 19, 19, 7, NONE])
    expect(cluster.unspentFaults).toEqual([])
  })

  test('that never came are known', () => {
    cluster.on('Produce', { topic: 'nobody' }).error('NOT_ENOUGH_REPLICAS')
    expect(cluster.unspentFaults).toHaveLength(1)
  })

  test('with a misspelt error fail where they stand', () => {
    expect(() => cluster.on('Produce').error('NOT_ENOUGH_REPLICA')).toThrow('no error named NOT_ENOUGH_REPLICA')
  })

  test('that throw themselves are reported, and no answer is sent', async () => {
    cluster.on('Produce').edit(() => {
      throw new Error('the rule is wrong')
    })
    client.send(produceV3(fromHex(A)))
    expect(await client.frame()).toBeUndefined()
    expect(cluster.violations.join()).toContain('the rule is wrong')
  })

  test('an answer lost after the append leaves the record in the log', async () => {
    cluster.on('Produce').appendThenDrop()
    client.send(produceV3(fromHex(C)))
    expect(await client.frame()).toBeUndefined()
    expect(client.error).toMatchObject({ code: 'ECONNRESET' })
    expect(cluster.count('orders')).toBe(2)
  })

  test('a request dropped before it leaves nothing', async () => {
    cluster.on('Produce').dropBefore()
    client.send(produceV3(fromHex(C)))
    expect(await client.frame()).toBeUndefined()
    expect(cluster.count('orders')).toBe(0)
  })

  test('a swallowed request keeps everything behind it from being handled', async () => {
    cluster.on('Produce', { nth: 1 }).swallow()
    client.send(Buffer.concat([produceV3(fromHex(A)), produceV3(fromHex(A))]))
    await cluster.untilSeen('Produce', 2)
    const other = await RawClient.connect(cluster.address(1))
    await other.ask(produceV3(fromHex(A)))
    expect(cluster.count('orders')).toBe(1)
    expect(cluster.seen('Produce').map((request) => request.outcome)).toEqual(['muted', 'waiting', 'answered'])
    other.close()
  })

  test('a request that is held back is handled even when its client has gone', async () => {
    const gate = deferred()
    cluster.on('Produce').delay(gate.promise)
    client.send(produceV3(fromHex(A)))
    await cluster.untilSeen('Produce')
    client.close()
    await cluster.until(() => cluster.openConnections.length === 0, 'the connection to end')
    expect(cluster.count('orders')).toBe(0)
    gate.resolve()
    await cluster.until(() => cluster.count('orders') === 1, 'the late append')
  })

  test('errors of records, errors after the append, omitted partitions, replies and rewritten bytes reach the client', async () => {
    cluster.on('Produce').appendThenError('REQUEST_TIMED_OUT')
    expect(await produced(fromHex(A))).toMatchObject({ error: 7 })
    expect(cluster.count('orders')).toBe(1)
    cluster.on('Produce').recordErrors({ 0: 'bad' })
    expect(await produced(fromHex(A))).toMatchObject({ error: INVALID_RECORD })
    expect(cluster.count('orders')).toBe(1)
    cluster.on('Produce').omitPartition()
    expect(await client.ask(produceV3(fromHex(A)))).toEqual(Buffer.from(bytes().int32(7).int32(0).int32(0).done()))
    expect(cluster.count('orders')).toBe(2)
    cluster.on('Produce').reply(garbage)
    expect(await client.ask(produceV3(fromHex(A)))).toEqual(Buffer.alloc(16, 0xff))
    expect(cluster.count('orders')).toBe(2)
    cluster.on('Produce').rewrite(otherCorrelationId)
    expect((await client.ask(produceV3(fromHex(A))))!.readInt32BE(0)).toBe(1007)
    cluster.on('Produce').throttle(250)
    const throttled = await client.ask(produceV3(fromHex(A)))
    expect(throttled!.readInt32BE(throttled!.length - 4)).toBe(250)
  })
})

describe('control requests', () => {
  test('ApiVersions at a version of the future is refused in the shape of version 0', async () => {
    const frame = await client.ask(bytes().int16(18).int16(99).int32(3).string('hand').noTags().fill(0xff, 5).framed())
    expect(frame!.toString('hex')).toBe('00000003002300000001001200000004')
  })

  test('Metadata v1 names brokers, leaders and what is not there', async () => {
    const ask = bytes().int16(3).int16(1).int32(9).string('hand').int32(2).string('orders').string('none')
    const port = (nodeId: number) => Number(cluster.address(nodeId).split(':')[1])
    const expected = bytes()
      .int32(9)
      .int32(2)
      .int32(1)
      .string('127.0.0.1')
      .int32(port(1))
      .string(null)
      .int32(2)
      .string('127.0.0.1')
      .int32(port(2))
      .string(null)
      .int32(1)
      .int32(2)
      .hex('0000')
      .string('orders')
      .boolean(false)
      .int32(2)
      .hex('0000 00000000 00000001 00000002 00000001 00000002 00000002 00000001 00000002')
      .hex('0000 00000001 00000002 00000002 00000002 00000001 00000002 00000002 00000001')
      .hex('0003')
      .string('none')
      .boolean(false)
      .int32(0)
    expect(await client.ask(ask.framed())).toEqual(Buffer.from(expected.done()))
  })

  test('InitProducerId gives each asker another id', async () => {
    const ask = bytes().int16(22).int16(0).int32(1).string('hand').string(null).int32(2_147_483_647).framed()
    const first = await client.ask(ask)
    const second = await client.ask(ask)
    expect(first!.readInt16BE(8)).toBe(NONE)
    expect(second!.readBigInt64BE(10) - first!.readBigInt64BE(10)).toBe(1n)
    expect(second!.readInt16BE(18)).toBe(0)
  })

  test('a stopped broker refuses connections and comes back on the port it had, or on another', async () => {
    const before = cluster.address(1)
    await cluster.stopBroker(1)
    await client.closed()
    await expect(RawClient.connect(before)).rejects.toThrow('ECONNREFUSED')
    await cluster.startBroker(1)
    client = await RawClient.connect(before)
    await cluster.stopBroker(1)
    await cluster.startBroker(1, { onNewPort: true })
    expect(cluster.address(1)).not.toBe(before)
    client = await RawClient.connect(cluster.address(1))
    expect(await produced(fromHex(A))).toMatchObject({ error: NONE })
  })
})

describe('verify', () => {
  const values = (...values: string[]) => ({ topic: 'orders', partition: 0, values })

  test('says what was lost, doubled, out of order and never sent', async () => {
    for (const value of ['a', 'b', 'b', 'd', 'c', 'x']) await produced(withCrc(oneRecord(value)))
    expect(cluster.verify([values('a', 'b', 'c', 'd', 'e')])).toEqual({
      lost: ['orders-0: e'],
      doubled: ['orders-0: b'],
      outOfOrder: ['orders-0: c'],
      unexpected: ['orders-0: x'],
    })
  })

  test('finds nothing where everything is right', async () => {
    for (const value of ['a', 'b', 'c']) await produced(withCrc(oneRecord(value)))
    expect(cluster.verify([values('a', 'b', 'c')])).toEqual({ lost: [], doubled: [], outOfOrder: [], unexpected: [] })
  })

  // Batch A with another value of one letter: the record is length, attributes, both deltas, null key, value, no headers.
  function oneRecord(value: string): Uint8Array {
    const record = bytes().varint(7).int8(0).varint(0).varint(0).varint(-1).varint(1).raw(Buffer.from(value)).varint(0)
    const batch = Buffer.concat([fromHex(A).subarray(0, 61), record.done()])
    batch.writeInt32BE(batch.length - 12, 8)
    return batch
  }
})
