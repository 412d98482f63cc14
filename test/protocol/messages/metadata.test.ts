import { describe, expect, test } from 'vitest'
import type { MetadataRequest, MetadataResponse } from '../../../src/protocol/messages/metadata.ts'
import { messageKind } from '../../support/arbitraries.ts'
import { bytes, toHex } from '../../support/byte-builder.ts'

const request = messageKind('MetadataRequest')
const response = messageKind('MetadataResponse')
const noId = new Uint8Array(16)
const id = new Uint8Array(16).fill(7)
const UNKNOWN = -2_147_483_648

const asking = (part: Partial<MetadataRequest> = {}): MetadataRequest => ({
  topics: [{ topicId: noId, name: 'orders' }],
  allowAutoTopicCreation: true,
  includeClusterAuthorizedOperations: false,
  includeTopicAuthorizedOperations: false,
  ...part,
})

describe('the request', () => {
  test('is written in every version as its schema says', () => {
    const v0 = bytes().int32(1).string('orders')
    const v4 = bytes().raw(v0).boolean(true)
    const v8 = bytes().raw(v4).boolean(false).boolean(false)
    const v9 = bytes().compactCount(1).compactString('orders').noTags().hex('010000').noTags()
    const v10 = bytes().compactCount(1).raw(noId).compactString('orders').noTags().hex('010000').noTags()
    const v11 = bytes().compactCount(1).raw(noId).compactString('orders').noTags().hex('0100').noTags()
    const byVersion = [v0, v0, v0, v0, v4, v4, v4, v4, v8, v9, v10, v11, v11, v11]
    expect(byVersion.map((_, version) => toHex(request.encode(asking(), version)))).toEqual(
      byVersion.map((expected) => toHex(expected.done())),
    )
  })

  test('for all topics is null, for none is empty', () => {
    expect(toHex(request.encode(asking({ topics: null }), 1))).toBe('ffffffff')
    expect(toHex(request.encode(asking({ topics: [] }), 1))).toBe('00000000')
    expect(toHex(request.encode(asking({ topics: null }), 12))).toBe('00010000')
    expect(toHex(request.encode(asking({ topics: [] }), 12))).toBe('01010000')
  })

  test('can ask by id alone from version 10 on', () => {
    const byId = asking({ topics: [{ topicId: id, name: null }] })
    const expected = bytes().compactCount(1).raw(id).compactString(null).noTags().hex('0100').noTags()
    expect(toHex(request.encode(byId, 12))).toBe(toHex(expected.done()))
  })

  test.each([
    ['null for topics', asking({ topics: null }), 0],
    ['null for name', asking({ topics: [{ topicId: id, name: null }] }), 9],
    ['allowAutoTopicCreation', asking({ allowAutoTopicCreation: false }), 3],
    ['includeClusterAuthorizedOperations', asking({ includeClusterAuthorizedOperations: true }), 7],
    ['includeClusterAuthorizedOperations', asking({ includeClusterAuthorizedOperations: true }), 11],
    ['includeTopicAuthorizedOperations', asking({ includeTopicAuthorizedOperations: true }), 7],
  ])('with %s is refused where the version cannot say it', (field, message, version) => {
    expect(() => request.encode(message, version)).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED_VERSION',
        message: `Metadata request v${version} cannot carry this ${field}`,
      }),
    )
  })
})

describe('the response', () => {
  const full: MetadataResponse = {
    throttleTimeMs: 3,
    brokers: [{ nodeId: 1, host: 'kafka-1', port: 9092, rack: 'r' }],
    clusterId: 'c',
    controllerId: 1,
    topics: [
      {
        errorCode: 0,
        name: 'orders',
        topicId: id,
        isInternal: true,
        partitions: [
          {
            errorCode: 5,
            partitionIndex: 2,
            leaderId: -1,
            leaderEpoch: 6,
            replicaNodes: [1, 2],
            isrNodes: [1],
            offlineReplicas: [2],
          },
        ],
        topicAuthorizedOperations: UNKNOWN,
      },
    ],
    clusterAuthorizedOperations: UNKNOWN,
    errorCode: 0,
  }

  test('of version 0 knows brokers, topics and leaders only', () => {
    const body = bytes().int32(1).int32(1).string('kafka-1').int32(9092)
    body.int32(1).int16(0).string('orders').int32(1).int16(5).int32(2).int32(-1)
    body.int32(2).int32(1).int32(2).int32(1).int32(1)
    expect(response.decode(body.done(), 0)).toEqual({
      throttleTimeMs: 0,
      brokers: [{ nodeId: 1, host: 'kafka-1', port: 9092, rack: null }],
      clusterId: null,
      controllerId: -1,
      topics: [
        {
          errorCode: 0,
          name: 'orders',
          topicId: noId,
          isInternal: false,
          partitions: [
            {
              errorCode: 5,
              partitionIndex: 2,
              leaderId: -1,
              leaderEpoch: -1,
              replicaNodes: [1, 2],
              isrNodes: [1],
              offlineReplicas: [],
            },
          ],
          topicAuthorizedOperations: UNKNOWN,
        },
      ],
      clusterAuthorizedOperations: UNKNOWN,
      errorCode: 0,
    })
    expect(toHex(response.encode(full, 0))).toBe(toHex(body.done()))
  })

  test('of version 7 knows racks, cluster, controller, leader epochs and offline replicas', () => {
    const body = bytes().int32(3).int32(1).int32(1).string('kafka-1').int32(9092).string('r').string('c').int32(1)
    body.int32(1).int16(0).string('orders').boolean(true).int32(1).int16(5).int32(2).int32(-1).int32(6)
    body.int32(2).int32(1).int32(2).int32(1).int32(1).int32(1).int32(2)
    const withoutId = { ...full, topics: [{ ...full.topics[0]!, topicId: noId }] }
    expect(response.decode(body.done(), 7)).toEqual(withoutId)
    expect(toHex(response.encode(full, 7))).toBe(toHex(body.done()))
  })

  test('of version 13 knows topic ids and an error of its own, and survives unknown tagged fields in every struct', () => {
    const known = (build: (count: number) => ReturnType<typeof bytes>) => build(0)
    const unknown = (build: (count: number) => ReturnType<typeof bytes>) => build(1).tag(3, bytes().hex('dead'))
    const built = (tags: typeof known) => {
      const end = () => tags((count) => bytes().unsignedVarint(count))
      const partition = bytes().int16(5).int32(2).int32(-1).int32(6)
      partition.compactCount(2).int32(1).int32(2).compactCount(1).int32(1).compactCount(1).int32(2).raw(end())
      const topic = bytes().int16(0).compactString('orders').raw(id).boolean(true).compactCount(1).raw(partition)
      topic.int32(UNKNOWN).raw(end())
      const broker = bytes().int32(1).compactString('kafka-1').int32(9092).compactString('r').raw(end())
      const body = bytes().int32(3).compactCount(1).raw(broker).compactString('c').int32(1).compactCount(1).raw(topic)
      return body.int16(129).raw(end()).done()
    }
    const expected = { ...full, errorCode: 129 }
    expect(toHex(response.encode(expected, 13))).toBe(toHex(built(known)))
    expect(response.decode(built(known), 13)).toEqual(expected)
    expect(response.decode(built(unknown), 13)).toEqual(expected)
  })

  test('may have a topic without a name only from version 12 on', () => {
    const nameless = { ...full, topics: [{ ...full.topics[0]!, name: null }] }
    expect(response.decode(response.encode(nameless, 12), 12)).toEqual(nameless)
    expect(() => response.encode(nameless, 11)).toThrow(/Metadata response v11 cannot carry this null for name/)
  })

  test('cannot say operations in a version that has none', () => {
    expect(() => response.encode({ ...full, clusterAuthorizedOperations: 1 }, 11)).toThrow(
      /clusterAuthorizedOperations/,
    )
    const topics = [{ ...full.topics[0]!, topicAuthorizedOperations: 1 }]
    expect(() => response.encode({ ...full, topics }, 7)).toThrow(/topicAuthorizedOperations/)
  })

  test('with more brokers or partitions than bytes is refused before any is made', () => {
    const brokers = bytes().int32(0).unsignedVarint(4_000_000).noTags()
    expect(() => response.decode(brokers.done(), 9)).toThrow(/array of 3999999 elements at byte 4, where only 1 bytes/)
    const replicas = bytes().int32(0).int32(0).string(null).int32(-1).int32(1).int16(0).string('t').boolean(false)
    replicas.int32(1).int16(0).int32(0).int32(0).int32(0).int32(2_147_483_647)
    expect(() => response.decode(replicas.done(), 7)).toThrow(/array of 2147483647 elements at byte \d+, where only 0/)
  })
})
