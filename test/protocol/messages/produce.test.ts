import Long from 'long'
import { describe, expect, test } from 'vitest'
import { encodeRequestFrame } from '../../../src/protocol/header.ts'
import { type ProduceRequest, type ProduceResponse, produce } from '../../../src/protocol/messages/produce.ts'
import { messageKind } from '../../support/arbitraries.ts'
import { type ByteBuilder, bytes, toHex } from '../../support/byte-builder.ts'
import { builtBatches } from '../../vectors/record-batches.ts'

const request = messageKind('ProduceRequest')
const response = messageKind('ProduceResponse')
const noId = new Uint8Array(16)
const id = new Uint8Array(16).fill(7)
const batch = bytes().hex(builtBatches[3]!.hex).done()

const asking: ProduceRequest = {
  transactionalId: null,
  acks: -1,
  timeoutMs: 30_000,
  topicData: [
    {
      name: 'orders',
      topicId: id,
      partitionData: [
        { index: 0, records: [batch] },
        { index: 4, records: null },
      ],
    },
  ],
}

describe('the request', () => {
  const classic = bytes().string(null).int16(-1).int32(30_000).int32(1).string('orders').int32(2)
  classic.int32(0).int32(batch.length).raw(batch).int32(4).int32(-1)

  const flexible = (topic: ByteBuilder) => {
    const body = bytes().compactString(null).int16(-1).int32(30_000).compactCount(1).raw(topic).compactCount(2)
    body
      .int32(0)
      .unsignedVarint(batch.length + 1)
      .raw(batch)
      .noTags()
      .int32(4)
      .unsignedVarint(0)
      .noTags()
    return body.noTags().noTags()
  }
  const named = flexible(bytes().compactString('orders'))
  const identified = flexible(bytes().raw(id))

  test.each([
    ...[3, 4, 5, 6, 7, 8].map((version) => [version, classic] as const),
    ...[9, 10, 11, 12].map((version) => [version, named] as const),
    [13, identified] as const,
  ])('of version %s is written as its schema says', (version, expected) => {
    expect(toHex(request.encode(asking, version))).toBe(toHex(expected.done()))
    expect(request.decode(expected.done(), version)).toEqual({
      ...asking,
      topicData: [
        {
          ...asking.topicData[0],
          name: version <= 12 ? 'orders' : '',
          topicId: version >= 13 ? id : noId,
        },
      ],
    })
  })

  test('names its transaction', () => {
    const body = request.encode({ ...asking, transactionalId: 'tx', topicData: [] }, 12)
    expect(toHex(body)).toBe(toHex(bytes().compactString('tx').int16(-1).int32(30_000).compactCount(0).noTags().done()))
  })

  test('is one run of framing around large batches, which are linked and not copied', () => {
    const large = [new Uint8Array(5000).fill(1), new Uint8Array(5000).fill(2)]
    const twoTopics: ProduceRequest = {
      ...asking,
      topicData: ['a', 'b'].map((name, index) => ({
        name,
        topicId: noId,
        partitionData: [
          { index: 0, records: [batch] },
          { index: 1, records: [large[index]!] },
        ],
      })),
    }
    const segments = encodeRequestFrame(produce, twoTopics, { version: 9, correlationId: 5, clientId: 'me' })
    expect([segments[1], segments[3]]).toEqual(large)
    expect([segments[1] === large[0], segments[3] === large[1], segments.length]).toEqual([true, true, 5])
    const topic = (name: string, records: Uint8Array) => {
      const part = bytes().compactString(name).compactCount(2)
      part
        .int32(0)
        .unsignedVarint(batch.length + 1)
        .raw(batch)
        .noTags()
      return part.int32(1).unsignedVarint(5001).raw(records).noTags().noTags()
    }
    const expected = bytes().int16(0).int16(9).int32(5).string('me').noTags()
    expected.compactString(null).int16(-1).int32(30_000).compactCount(2)
    expected.raw(topic('a', large[0]!)).raw(topic('b', large[1]!)).noTags()
    expect(toHex(segments)).toBe(toHex(expected.framed()))
  })

  test('of a batch in pieces is the same as of the batch in one', () => {
    const pieces = [batch.subarray(0, 61), batch.subarray(61, 70), batch.subarray(70)]
    const inPieces = {
      ...asking,
      topicData: [{ ...asking.topicData[0]!, partitionData: [{ index: 0, records: pieces }] }],
    }
    const inOne = {
      ...asking,
      topicData: [{ ...asking.topicData[0]!, partitionData: [{ index: 0, records: [batch] }] }],
    }
    expect(toHex(request.encode(inPieces, 9))).toBe(toHex(request.encode(inOne, 9)))
  })
})

describe('the response', () => {
  const partition = {
    index: 4,
    errorCode: 0,
    baseOffset: Long.fromString('9007199254740993'),
    logAppendTimeMs: Long.NEG_ONE,
    logStartOffset: Long.NEG_ONE,
    recordErrors: [],
    errorMessage: null,
    currentLeader: { leaderId: -1, leaderEpoch: -1 },
  }
  const answer: ProduceResponse = {
    responses: [{ name: 'orders', topicId: noId, partitionResponses: [partition] }],
    throttleTimeMs: 8,
    nodeEndpoints: [],
  }
  const withPartition = (part: Partial<ProduceResponse['responses'][number]['partitionResponses'][number]>) => ({
    ...answer,
    responses: [{ name: 'orders', topicId: noId, partitionResponses: [{ ...partition, ...part }] }],
  })

  test('of versions 3 and 4 has base offset and time of the append', () => {
    const body = bytes()
      .int32(1)
      .string('orders')
      .int32(1)
      .int32(4)
      .int16(0)
      .int64(9007199254740993n)
      .int64(-1n)
      .int32(8)
    for (const version of [3, 4]) {
      expect(response.decode(body.done(), version)).toEqual(answer)
      expect(toHex(response.encode(withPartition({ logStartOffset: Long.ONE }), version))).toBe(toHex(body.done()))
    }
  })

  test('of versions 5 to 7 has the log start offset too', () => {
    const body = bytes()
      .int32(1)
      .string('orders')
      .int32(1)
      .int32(4)
      .int16(0)
      .int64(9007199254740993n)
      .int64(-1n)
      .int64(2n)
    body.int32(8)
    for (const version of [5, 6, 7]) {
      expect(response.decode(body.done(), version)).toEqual(withPartition({ logStartOffset: Long.fromInt(2) }))
    }
  })

  test('of version 8 says which records were refused, and why', () => {
    const body = bytes().int32(1).string('orders').int32(1).int32(4).int16(87).int64(-1n).int64(-1n).int64(-1n)
    body.int32(2).int32(0).string('no key').int32(3).string(null).string('all refused').int32(8)
    const refused = withPartition({
      errorCode: 87,
      baseOffset: Long.NEG_ONE,
      recordErrors: [
        { batchIndex: 0, batchIndexErrorMessage: 'no key' },
        { batchIndex: 3, batchIndexErrorMessage: null },
      ],
      errorMessage: 'all refused',
    })
    expect(response.decode(body.done(), 8)).toEqual(refused)
    expect(toHex(response.encode(refused, 8))).toBe(toHex(body.done()))
  })

  const moved = withPartition({
    errorCode: 6,
    baseOffset: Long.NEG_ONE,
    currentLeader: { leaderId: 2, leaderEpoch: 9 },
  })
  const movedTo = { ...moved, nodeEndpoints: [{ nodeId: 2, host: 'kafka-2', port: 9092, rack: null }] }

  /** Not the leader any more, and where the new one is (KIP-951). */
  const movedBytes = (topic: ByteBuilder, unknownTags: boolean) => {
    const unknown = bytes().hex('beef')
    const end = () => (unknownTags ? bytes().unsignedVarint(1).tag(30, unknown) : bytes().noTags())
    const leader = bytes().int32(2).int32(9).raw(end())
    const endpoints = bytes()
      .compactCount(1)
      .int32(2)
      .compactString('kafka-2')
      .int32(9092)
      .compactString(null)
      .raw(end())
    const body = bytes().compactCount(1).raw(topic).compactCount(1).int32(4).int16(6).int64(-1n).int64(-1n).int64(-1n)
    body
      .compactCount(0)
      .compactString(null)
      .unsignedVarint(unknownTags ? 2 : 1)
      .tag(0, leader)
    if (unknownTags) body.tag(1, unknown)
    body
      .raw(end())
      .int32(8)
      .unsignedVarint(unknownTags ? 2 : 1)
      .tag(0, endpoints)
    if (unknownTags) body.tag(500, unknown)
    return body.done()
  }

  test.each([10, 11, 12])('of version %s names the new leader and its address in tagged fields', (version) => {
    const body = movedBytes(bytes().compactString('orders'), false)
    expect(response.decode(body, version)).toEqual(movedTo)
    expect(toHex(response.encode(movedTo, version))).toBe(toHex(body))
  })

  test('of version 13 has the topic id in place of the name', () => {
    const body = movedBytes(bytes().raw(id), false)
    const byId = { ...movedTo, responses: [{ ...movedTo.responses[0]!, name: '', topicId: id }] }
    expect(response.decode(body, 13)).toEqual(byId)
    expect(toHex(response.encode(byId, 13))).toBe(toHex(body))
  })

  test('keeps what it knows when tagged fields come that nobody knows, in every struct', () => {
    expect(response.decode(movedBytes(bytes().compactString('orders'), true), 12)).toEqual(movedTo)
  })

  test('of version 9 skips the leader, which it does not know yet', () => {
    expect(response.decode(movedBytes(bytes().compactString('orders'), false), 9)).toEqual(
      withPartition({ errorCode: 6, baseOffset: Long.NEG_ONE }),
    )
  })

  test('cannot name a leader below version 10', () => {
    expect(() => response.encode(moved, 9)).toThrow(/Produce response v9 cannot carry this currentLeader/)
    const endpoints = { ...answer, nodeEndpoints: movedTo.nodeEndpoints }
    expect(() => response.encode(endpoints, 8)).toThrow(/Produce response v8 cannot carry this nodeEndpoints/)
  })

  test('with a leader longer or shorter than its field is refused', () => {
    const head = bytes().compactCount(1).compactString('orders').compactCount(1).int32(4).int16(6)
    head.int64(-1n).int64(-1n).int64(-1n).compactCount(0).compactString(null).unsignedVarint(1)
    const tail = bytes().noTags().int32(0).noTags()
    const short = bytes().raw(head).tag(0, bytes().int32(2)).raw(tail)
    expect(() => response.decode(short.done(), 10)).toThrow(/int32 of 4 bytes at byte \d+, where only 0 are left/)
    const long = bytes().raw(head).tag(0, bytes().int32(2).int32(9).noTags().int8(0)).raw(tail)
    expect(() => response.decode(long.done(), 10)).toThrow(/1 bytes are left over at byte/)
  })
})
