import Long from 'long'
import { describe, expect, test } from 'vitest'
import { messageKind } from '../../support/arbitraries.ts'
import { bytes, toHex } from '../../support/byte-builder.ts'

const request = messageKind('InitProducerIdRequest')
const response = messageKind('InitProducerIdResponse')

const first = { transactionalId: null, transactionTimeoutMs: 60_000, producerId: Long.NEG_ONE, producerEpoch: -1 }

test('a null transactional id is ffff, and the single byte 00 in flexible versions', () => {
  const v0 = bytes().string(null).int32(60_000)
  const v2 = bytes().hex('00').int32(60_000).noTags()
  expect([0, 1].map((version) => toHex(request.encode(first, version)))).toEqual(Array(2).fill(toHex(v0.done())))
  expect(toHex(request.encode(first, 2))).toBe(toHex(v2.done()))
})

test.each([3, 4, 5])('version %s sends the id and epoch held so far', (version) => {
  const again = { ...first, transactionalId: 'tx', producerId: Long.fromInt(4000), producerEpoch: 3 }
  const expected = bytes().compactString('tx').int32(60_000).int64(4000n).int16(3).noTags()
  expect(toHex(request.encode(again, version))).toBe(toHex(expected.done()))
  expect(request.decode(expected.done(), version)).toEqual(again)
})

test('an id or epoch that the version cannot send is refused, not dropped', () => {
  expect(() => request.encode({ ...first, producerId: Long.ONE }, 2)).toThrow(
    /InitProducerId request v2 cannot carry this producerId/,
  )
  expect(() => request.encode({ ...first, producerEpoch: 0 }, 0)).toThrow(
    /InitProducerId request v0 cannot carry this producerEpoch/,
  )
})

describe('the response', () => {
  const given = { throttleTimeMs: 5, errorCode: 0, producerId: Long.fromString('4294967297'), producerEpoch: 2 }
  const body = bytes().int32(5).int16(0).int64(4_294_967_297n).int16(2)

  test.each([0, 1])('of version %s is throttle time, error, id and epoch', (version) => {
    expect(response.decode(body.done(), version)).toEqual(given)
    expect(toHex(response.encode(given, version))).toBe(toHex(body.done()))
  })

  test.each([2, 3, 4, 5])('of version %s ends in tagged fields, known or not', (version) => {
    const known = bytes().raw(body).noTags()
    const unknown = bytes().raw(body).unsignedVarint(1).tag(0, bytes().hex('00112233'))
    expect(toHex(response.encode(given, version))).toBe(toHex(known.done()))
    expect(response.decode(known.done(), version)).toEqual(given)
    expect(response.decode(unknown.done(), version)).toEqual(given)
  })
})
