import { describe, expect, test } from 'vitest'
import { assertVersion, pickVersion } from '../../src/protocol/api.ts'
import { metadata } from '../../src/protocol/messages/metadata.ts'
import { produce } from '../../src/protocol/messages/produce.ts'

describe('the version of a request', () => {
  test('is the highest that both sides speak', () => {
    expect(pickVersion(produce, { min: 3, max: 7 })).toBe(7)
    expect(pickVersion(produce, { min: 3, max: 13 })).toBe(13)
    expect(pickVersion(produce, { min: 3, max: 99 })).toBe(13)
    expect(pickVersion(metadata, { min: 0, max: 0 })).toBe(0)
  })

  test('comes from the intersection: a broker from 4.0 on says Produce 0, which nobody speaks (KAFKA-18659)', () => {
    expect(pickVersion(produce, { min: 0, max: 13 })).toBe(13)
    expect(() => pickVersion(produce, { min: 0, max: 2 })).toThrow(
      'No common version of Produce: the broker speaks 0 to 2, we speak 3 to 13',
    )
  })

  test('is never above the cap, and the cap is named when it is the reason', () => {
    expect(pickVersion(produce, { min: 0, max: 13 }, 12)).toBe(12)
    expect(pickVersion(produce, { min: 0, max: 11 }, 12)).toBe(11)
    expect(pickVersion(produce, { min: 0, max: 13 }, 99)).toBe(13)
    expect(() => pickVersion(produce, { min: 13, max: 14 }, 12)).toThrow(
      'No common version of Produce: the broker speaks 13 to 14, we speak 3 to 13, here at most 12',
    )
    expect(() => pickVersion(produce, { min: 0, max: 13 }, 2)).toThrow(/here at most 2/)
  })

  test('does not exist when the broker is too new or too old, and the error names the API and both ranges', () => {
    expect(() => pickVersion(metadata, { min: 14, max: 15 })).toThrow(
      'No common version of Metadata: the broker speaks 14 to 15, we speak 0 to 13',
    )
    expect(() => pickVersion(metadata, { min: 5, max: 4 })).toThrow(/the broker speaks 5 to 4/)
  })

  test('does not exist when the broker does not name the API', () => {
    expect(() => pickVersion(produce, undefined)).toThrow(
      'The broker does not offer Produce (api key 0), of which we speak 3 to 13',
    )
  })

  test.each([
    () => pickVersion(produce, undefined),
    () => pickVersion(produce, { min: 14, max: 15 }),
    () => assertVersion(produce, 2),
  ])('that does not exist is an UNSUPPORTED_VERSION', (pick) => {
    expect(pick).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_VERSION', retriable: false }))
  })
})

test('a version that is not ours is refused before a byte of it is written', () => {
  assertVersion(produce, 3)
  assertVersion(produce, 13)
  for (const version of [2, 14, 3.5, Number.NaN]) {
    expect(() => assertVersion(produce, version)).toThrow(`Produce v${version} is not one of ours: we speak 3 to 13`)
  }
})
