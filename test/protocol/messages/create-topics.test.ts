import { describe, expect, test } from 'vitest'
import type { CreateTopicsRequest, CreateTopicsResponse } from '../../../src/protocol/messages/create-topics.ts'
import { messageKind } from '../../support/arbitraries.ts'
import { bytes, toHex } from '../../support/byte-builder.ts'

const request = messageKind('CreateTopicsRequest')
const response = messageKind('CreateTopicsResponse')
const noId = new Uint8Array(16)
const id = new Uint8Array(16).fill(7)

const asking: CreateTopicsRequest = {
  topics: [
    {
      name: 'orders',
      numPartitions: -1,
      replicationFactor: -1,
      assignments: [{ partitionIndex: 0, brokerIds: [1, 2] }],
      configs: [
        { name: 'cleanup.policy', value: 'compact' },
        { name: 'segment.bytes', value: null },
      ],
    },
  ],
  timeoutMs: 15_000,
  validateOnly: true,
}

test.each([2, 3, 4])('a request of version %s has classic lengths', (version) => {
  const expected = bytes().int32(1).string('orders').int32(-1).int16(-1).int32(1).int32(0).int32(2).int32(1).int32(2)
  expected.int32(2).string('cleanup.policy').string('compact').string('segment.bytes').string(null)
  expected.int32(15_000).boolean(true)
  expect(toHex(request.encode(asking, version))).toBe(toHex(expected.done()))
  expect(request.decode(expected.done(), version)).toEqual(asking)
})

test.each([5, 6, 7])('a request of version %s is compact, with tagged fields at the end of each struct', (version) => {
  const expected = bytes().compactCount(1).compactString('orders').int32(-1).int16(-1)
  expected.compactCount(1).int32(0).compactCount(2).int32(1).int32(2).noTags()
  expected.compactCount(2).compactString('cleanup.policy').compactString('compact').noTags()
  expected.compactString('segment.bytes').compactString(null).noTags()
  expected.noTags().int32(15_000).boolean(true).noTags()
  expect(toHex(request.encode(asking, version))).toBe(toHex(expected.done()))
  expect(request.decode(expected.done(), version)).toEqual(asking)
})

describe('the response', () => {
  const answer = (part: Partial<CreateTopicsResponse['topics'][number]>): CreateTopicsResponse => ({
    throttleTimeMs: 4,
    topics: [
      {
        name: 'orders',
        topicId: noId,
        errorCode: 0,
        errorMessage: null,
        topicConfigErrorCode: 0,
        numPartitions: -1,
        replicationFactor: -1,
        configs: [],
        ...part,
      },
    ],
  })

  test.each([2, 3, 4])('of version %s is name, error and message', (version) => {
    const body = bytes().int32(4).int32(1).string('orders').int16(36).string('it exists')
    const exists = answer({ errorCode: 36, errorMessage: 'it exists' })
    expect(response.decode(body.done(), version)).toEqual(exists)
    expect(toHex(response.encode({ ...exists, topics: [{ ...exists.topics[0]!, numPartitions: 3 }] }, version))).toBe(
      toHex(body.done()),
    )
  })

  const withConfig = {
    numPartitions: 3,
    replicationFactor: 2,
    configs: [{ name: 'retention.ms', value: null, readOnly: false, configSource: 5, isSensitive: true }],
  }
  const config = bytes().compactCount(1).compactString('retention.ms').compactString(null).hex('00 05 01')

  test.each([5, 6])('of version %s gives the configs back', (version) => {
    const body = bytes().int32(4).compactCount(1).compactString('orders').int16(0).compactString(null).int32(3).int16(2)
    body.raw(config).noTags().noTags().noTags()
    expect(response.decode(body.done(), version)).toEqual(answer(withConfig))
    expect(toHex(response.encode(answer(withConfig), version))).toBe(toHex(body.done()))
  })

  test('of version 7 has the topic id, and survives unknown tagged fields in every struct', () => {
    const head = bytes().int32(4).compactCount(1).compactString('orders').raw(id).int16(0).compactString(null)
    head.int32(3).int16(2).raw(config)
    const expected = answer({ ...withConfig, topicId: id })
    const known = bytes().raw(head).noTags().noTags().noTags()
    expect(response.decode(known.done(), 7)).toEqual(expected)
    expect(toHex(response.encode(expected, 7))).toBe(toHex(known.done()))
    const end = () => bytes().unsignedVarint(1).tag(8, bytes().hex('f00d'))
    expect(response.decode(bytes().raw(head).raw(end()).raw(end()).raw(end()).done(), 7)).toEqual(expected)
  })

  test('says in a tagged field why there are no configs', () => {
    const body = bytes().int32(4).compactCount(1).compactString('orders').int16(0).compactString(null).int32(3).int16(2)
    body.unsignedVarint(0).unsignedVarint(1).tag(0, bytes().int16(29)).noTags()
    const expected = answer({ numPartitions: 3, replicationFactor: 2, configs: null, topicConfigErrorCode: 29 })
    expect(response.decode(body.done(), 5)).toEqual(expected)
    expect(toHex(response.encode(expected, 5))).toBe(toHex(body.done()))
  })
})
