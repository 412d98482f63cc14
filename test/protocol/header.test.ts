import Long from 'long'
import { describe, expect, test } from 'vitest'
import {
  correlationIdOf,
  decodeRequestHeader,
  decodeResponseBody,
  encodeRequestFrame,
  encodeResponseFrame,
} from '../../src/protocol/header.ts'
import { apiVersions } from '../../src/protocol/messages/api-versions.ts'
import { initProducerId } from '../../src/protocol/messages/init-producer-id.ts'
import { metadata } from '../../src/protocol/messages/metadata.ts'
import { produce } from '../../src/protocol/messages/produce.ts'
import { Reader } from '../../src/protocol/reader.ts'
import { bytes, fromHex, toHex } from '../support/byte-builder.ts'
import {
  apiVersionsRequestFrames,
  apiVersionsRequestV3,
  apiVersionsResponseV3Body,
  metadataRequestV8Frame,
  metadataResponseV8Frame,
} from '../vectors/messages.ts'

const noTopics = {
  topics: [],
  allowAutoTopicCreation: true,
  includeClusterAuthorizedOperations: false,
  includeTopicAuthorizedOperations: false,
}

describe('a request frame', () => {
  test.each(apiVersionsRequestFrames)('of ApiVersions v%s is what kafka-python sends', (version, hex) => {
    const request = { clientSoftwareName: 'kafka-python', clientSoftwareVersion: '3.0.0' }
    const head = { version, correlationId: 1, clientId: '_internal_client_kYVL' }
    expect(toHex(encodeRequestFrame(apiVersions, request, head))).toBe(hex)
  })

  test('of ApiVersions v3 is the golden bytes of kafka-python 2.9, behind its size', () => {
    const request = { clientSoftwareName: 'kafka-python', clientSoftwareVersion: '2.9.0' }
    const frame = encodeRequestFrame(apiVersions, request, { version: 3, correlationId: 1, clientId: 'test-client' })
    expect(toHex(frame)).toBe(toHex(bytes().hex(apiVersionsRequestV3).framed()))
  })

  test('of Metadata v8 is what kafka-python sends', () => {
    const head = { version: 8, correlationId: 1, clientId: 'admin_client_VIsf' }
    expect(toHex(encodeRequestFrame(metadata, noTopics, head))).toBe(metadataRequestV8Frame)
    expect(toHex(encodeRequestFrame(metadata, { ...noTopics, topics: null }, head))).toBe(
      metadataRequestV8Frame.replace('00000000010000', 'ffffffff010000'),
    )
  })

  test('has a null client id as ffff, and in flexible versions the header ends in 00', () => {
    const request = { transactionalId: null, transactionTimeoutMs: 0, producerId: Long.NEG_ONE, producerEpoch: -1 }
    const body = bytes().string(null).int32(0)
    const v1 = bytes().int16(22).int16(1).int32(7).string(null).raw(body)
    expect(toHex(encodeRequestFrame(initProducerId, request, { version: 1, correlationId: 7, clientId: null }))).toBe(
      toHex(v1.framed()),
    )
    const v2 = bytes().int16(22).int16(2).int32(7).string(null).noTags().compactString(null).int32(0).noTags()
    expect(toHex(encodeRequestFrame(initProducerId, request, { version: 2, correlationId: 7, clientId: null }))).toBe(
      toHex(v2.framed()),
    )
  })

  test('counts linked records into its size and leaves them where they are', () => {
    const records = new Uint8Array(5000).fill(3)
    const request = {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1,
      topicData: [{ name: 't', topicId: new Uint8Array(16), partitionData: [{ index: 0, records: [records] }] }],
    }
    const frame = encodeRequestFrame(produce, request, { version: 9, correlationId: 1, clientId: 'c' })
    expect(frame.length).toBe(3)
    expect(frame[1]).toBe(records)
    expect(new DataView(frame[0]!.buffer, frame[0]!.byteOffset).getInt32(0)).toBe(
      frame.reduce((total, segment) => total + segment.length, -4),
    )
  })

  test('of a version that is not ours is refused', () => {
    expect(() => encodeRequestFrame(metadata, noTopics, { version: 14, correlationId: 1, clientId: null })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_VERSION' }),
    )
  })
})

describe('a request header', () => {
  test.each(apiVersionsRequestFrames)('of ApiVersions v%s is read up to the body', (version, hex) => {
    const reader = new Reader(fromHex(hex), 4)
    expect(decodeRequestHeader(reader)).toEqual({
      apiKey: 18,
      apiVersion: version,
      correlationId: 1,
      clientId: '_internal_client_kYVL',
    })
    expect(apiVersions.decodeRequest(reader, version)).toEqual(
      version >= 3
        ? { clientSoftwareName: 'kafka-python', clientSoftwareVersion: '3.0.0' }
        : { clientSoftwareName: '', clientSoftwareVersion: '' },
    )
    reader.expectEnd()
  })

  test('has its unknown tagged fields skipped in flexible versions', () => {
    const header = bytes().int16(3).int16(9).int32(5).string('me').unsignedVarint(1).tag(9, bytes().int16(1)).int8(77)
    const reader = new Reader(header.done())
    expect(decodeRequestHeader(reader)).toEqual({ apiKey: 3, apiVersion: 9, correlationId: 5, clientId: 'me' })
    expect(reader.int8()).toBe(77)
  })

  test('of an API that is not ours is read as v1', () => {
    const reader = new Reader(bytes().int16(999).int16(9).int32(5).string(null).int8(77).done())
    expect(decodeRequestHeader(reader)).toEqual({ apiKey: 999, apiVersion: 9, correlationId: 5, clientId: null })
    expect(reader.int8()).toBe(77)
  })
})

describe('a response frame', () => {
  test('of a flexible version has tagged fields in its header, that of ApiVersions never has', () => {
    const answer = { throttleTimeMs: 1, errorCode: 2, producerId: Long.NEG_ONE, producerEpoch: 4 }
    const body = bytes().int32(1).int16(2).int64(-1n).int16(4)
    expect(toHex(encodeResponseFrame(initProducerId, answer, { version: 1, correlationId: 9 }))).toBe(
      toHex(bytes().int32(9).raw(body).framed()),
    )
    expect(toHex(encodeResponseFrame(initProducerId, answer, { version: 2, correlationId: 9 }))).toBe(
      toHex(bytes().int32(9).noTags().raw(body).noTags().framed()),
    )
    const frame = bytes().int32(9).hex(apiVersionsResponseV3Body).done()
    const versions = decodeResponseBody(apiVersions, 3, frame)
    expect(toHex(encodeResponseFrame(apiVersions, versions, { version: 3, correlationId: 9 }))).toBe(
      toHex(bytes().raw(frame).framed()),
    )
  })

  test('is read behind its size, the header skipped with whatever tagged fields it has', () => {
    const frame = bytes()
      .int32(9)
      .unsignedVarint(1)
      .tag(5, bytes().int8(1))
      .int32(1)
      .int16(0)
      .int64(8n)
      .int16(4)
      .noTags()
    expect(correlationIdOf(frame.done())).toBe(9)
    const answer = decodeResponseBody(initProducerId, 4, frame.done())
    expect([answer.throttleTimeMs, answer.errorCode, answer.producerId.toString(), answer.producerEpoch]).toEqual([
      1,
      0,
      '8',
      4,
    ])
  })

  test('of Metadata v8 from a broker is read whole', () => {
    expect(decodeResponseBody(metadata, 8, fromHex(metadataResponseV8Frame).subarray(4))).toEqual({
      throttleTimeMs: 0,
      brokers: [{ nodeId: 0, host: 'localhost', port: 47485, rack: null }],
      clusterId: '34wjNp3hRJixCRvMlK9Znw',
      controllerId: 0,
      topics: [],
      clusterAuthorizedOperations: -2147483648,
      errorCode: 0,
    })
  })

  test('with bytes left over is refused, naming API, version and offset', () => {
    const frame = bytes().hex(metadataResponseV8Frame.slice(8)).int16(0).done()
    expect(() => decodeResponseBody(metadata, 8, frame)).toThrow(
      expect.objectContaining({
        code: 'PROTOCOL_ERROR',
        message: 'Metadata v8 response of 71 bytes: 2 bytes are left over at byte 69',
      }),
    )
  })

  test('that ends too early is refused, naming API, version and offset, with the first error as its cause', () => {
    const frame = fromHex(metadataResponseV8Frame).subarray(4, 40)
    expect(() => decodeResponseBody(metadata, 8, frame)).toThrow(
      expect.objectContaining({
        code: 'PROTOCOL_ERROR',
        message: 'Metadata v8 response of 36 bytes: string of 22 bytes at byte 35, where only 1 are left',
        cause: expect.objectContaining({ code: 'PROTOCOL_ERROR' }),
      }),
    )
  })

  test('shorter than a correlation id is refused', () => {
    expect(() => correlationIdOf(fromHex('000001'))).toThrow(expect.objectContaining({ code: 'PROTOCOL_ERROR' }))
    expect(() => decodeResponseBody(metadata, 8, new Uint8Array(0))).toThrow(/Metadata v8 response of 0 bytes/)
  })
})
