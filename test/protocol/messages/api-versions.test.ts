import Long from 'long'
import { describe, expect, test } from 'vitest'
import { decodeResponseBody } from '../../../src/protocol/header.ts'
import {
  type ApiVersionsResponse,
  apiVersions,
  versionAfterRefusal,
  versionRanges,
} from '../../../src/protocol/messages/api-versions.ts'
import { messageKind } from '../../support/arbitraries.ts'
import { bytes, fromHex, toHex } from '../../support/byte-builder.ts'
import { apiVersionsRefusalFrame, apiVersionsResponseV3Body, supportedFeaturesTag } from '../../vectors/messages.ts'

const request = messageKind('ApiVersionsRequest')
const response = messageKind('ApiVersionsResponse')

const answer = (part: Partial<ApiVersionsResponse>): ApiVersionsResponse => ({
  errorCode: 0,
  apiKeys: [],
  throttleTimeMs: 0,
  supportedFeatures: [],
  finalizedFeaturesEpoch: Long.NEG_ONE,
  finalizedFeatures: [],
  zkMigrationReady: false,
  ...part,
})

const twoApis = [
  { apiKey: 0, minVersion: 0, maxVersion: 9 },
  { apiKey: 1, minVersion: 0, maxVersion: 10 },
]

describe('the request', () => {
  test('has no body below version 3', () => {
    const message = { clientSoftwareName: 'kafka-wire', clientSoftwareVersion: '1' }
    for (const version of [0, 1, 2]) expect(toHex(request.encode(message, version))).toBe('')
  })

  test('names the client software from version 3 on', () => {
    const message = { clientSoftwareName: 'kafka-wire', clientSoftwareVersion: '0.1.0' }
    const expected = bytes().compactString('kafka-wire').compactString('0.1.0').noTags()
    for (const version of [3, 4]) expect(toHex(request.encode(message, version))).toBe(toHex(expected.done()))
  })
})

describe('the response', () => {
  test('of version 0 is error and ranges, of 1 and 2 also the throttle time', () => {
    const v0 = bytes().int16(0).int32(2).int16(0).int16(0).int16(9).int16(1).int16(0).int16(10)
    const v1 = bytes().raw(v0).int32(250)
    expect(response.decode(v0.done(), 0)).toEqual(answer({ apiKeys: twoApis }))
    for (const version of [1, 2]) {
      expect(response.decode(v1.done(), version)).toEqual(answer({ apiKeys: twoApis, throttleTimeMs: 250 }))
      expect(toHex(response.encode(answer({ apiKeys: twoApis, throttleTimeMs: 250 }), version))).toBe(toHex(v1.done()))
    }
    expect(toHex(response.encode(answer({ apiKeys: twoApis, throttleTimeMs: 250 }), 0))).toBe(toHex(v0.done()))
  })

  test('of version 3 is the golden bytes of kafka-python', () => {
    expect(response.decode(fromHex(apiVersionsResponseV3Body), 3)).toEqual(answer({ apiKeys: twoApis }))
    expect(toHex(response.encode(answer({ apiKeys: twoApis }), 3))).toBe(apiVersionsResponseV3Body)
  })

  test('of version 4 has the features of a 4.0 broker, whose ranges may begin at 0', () => {
    const epoch = bytes().int64(137n)
    const finalized = bytes().compactCount(1).compactString('metadata.version').int16(25).int16(25).noTags()
    const body = bytes().int16(0).compactCount(0).int32(0).unsignedVarint(4)
    body.tag(0, bytes().hex(supportedFeaturesTag)).tag(1, epoch).tag(2, finalized).tag(3, bytes().boolean(true))
    const expected = answer({
      supportedFeatures: [
        { name: 'group.version', minVersion: 0, maxVersion: 1 },
        { name: 'kraft.version', minVersion: 0, maxVersion: 1 },
        { name: 'metadata.version', minVersion: 7, maxVersion: 25 },
        { name: 'transaction.version', minVersion: 0, maxVersion: 2 },
        { name: 'eligible.leader.replicas.version', minVersion: 0, maxVersion: 1 },
      ],
      finalizedFeaturesEpoch: Long.fromInt(137),
      finalizedFeatures: [{ name: 'metadata.version', maxVersionLevel: 25, minVersionLevel: 25 }],
      zkMigrationReady: true,
    })
    expect(response.decode(body.done(), 4)).toEqual(expected)
    expect(toHex(response.encode(expected, 4))).toBe(toHex(body.done()))
  })

  test('keeps what it knows when tagged fields come that nobody knows, in every struct', () => {
    const unknown = bytes().hex('cafe')
    const features = bytes().compactCount(1).compactString('f').int16(1).int16(2).unsignedVarint(1).tag(9, unknown)
    const body = bytes()
      .int16(0)
      .compactCount(1)
      .int16(3)
      .int16(0)
      .int16(13)
      .unsignedVarint(1)
      .tag(77, unknown)
      .int32(5)
    body.unsignedVarint(3).tag(0, features).tag(4, unknown).tag(1000, unknown)
    expect(response.decode(body.done(), 4)).toEqual(
      answer({
        apiKeys: [{ apiKey: 3, minVersion: 0, maxVersion: 13 }],
        throttleTimeMs: 5,
        supportedFeatures: [{ name: 'f', minVersion: 1, maxVersion: 2 }],
      }),
    )
  })

  test('gives the ranges by API key', () => {
    expect(versionRanges(answer({ apiKeys: twoApis }))).toEqual(
      new Map([
        [0, { min: 0, max: 9 }],
        [1, { min: 0, max: 10 }],
      ]),
    )
  })
})

describe('a refusal of the version (error 35)', () => {
  test("the mock broker's mixture of shapes (compact count, entries without tags) is an empty refusal, not an error", () => {
    const frame = bytes().int32(1).int16(35).int8(2).int16(18).int16(0).int16(2).int32(0).done()
    expect(decodeResponseBody(apiVersions, 4, frame)).toEqual(answer({ errorCode: 35 }))
  })

  const refusal = answer({ errorCode: 35, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 3 }] })

  test.each([0, 1, 2, 3, 4])('of a request of version %s is read in the shape of version 0', (version) => {
    expect(decodeResponseBody(apiVersions, version, fromHex(apiVersionsRefusalFrame).subarray(4))).toEqual(refusal)
  })

  test.each([0, 1, 2, 3, 4])('of a request of version %s by a broker before 2.4 names no API at all', (version) => {
    const frame = bytes().int32(1).int16(35).int32(0).done()
    expect(decodeResponseBody(apiVersions, version, frame)).toEqual(answer({ errorCode: 35 }))
  })

  test.each([1, 2, 3, 4])('in the shape of version %s is read as well', (version) => {
    const body = response.encode({ ...refusal, throttleTimeMs: 9 }, version)
    expect(response.decode(body, version)).toEqual({ ...refusal, throttleTimeMs: 9 })
  })

  test.each([
    ['the version that it names', 4, [{ apiKey: 18, minVersion: 0, maxVersion: 3 }], 3],
    ['0 when it names nothing', 4, [], 0],
    ['0 when it names others only', 3, twoApis, 0],
    ['0 when it names the refused version again', 4, [{ apiKey: 18, minVersion: 0, maxVersion: 4 }], 0],
    ['0 when it names a higher one', 3, [{ apiKey: 18, minVersion: 0, maxVersion: 4 }], 0],
    ['0 when it names a negative one', 3, [{ apiKey: 18, minVersion: 0, maxVersion: -1 }], 0],
    ['nothing when 0 was refused', 0, [{ apiKey: 18, minVersion: 0, maxVersion: 3 }], undefined],
  ] as const)('is followed by a request of %s', (_what, refused, apiKeys, next) => {
    expect(versionAfterRefusal(answer({ errorCode: 35, apiKeys }), refused)).toBe(next)
  })

  test('after refusal comes to an end, whatever the broker names', () => {
    for (const maxVersion of [-5, 0, 1, 2, 3, 4, 5, 32_767]) {
      const stubborn = answer({ errorCode: 35, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion }] })
      let [version, requests]: [number | undefined, number] = [4, 0]
      while (version !== undefined) [version, requests] = [versionAfterRefusal(stubborn, version), requests + 1]
      expect(requests).toBeLessThanOrEqual(3)
    }
  })
})
