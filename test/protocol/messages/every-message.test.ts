// What holds for every message at every version, asked with random ones. That our bytes are also Kafka's is asked in test/oracle, and
// against its recorded answers in oracle-extract.test.ts.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KafkaError } from '../../../src/errors.ts'
import type { Api } from '../../../src/protocol/api.ts'
import { decodeResponseBody, encodeResponseFrame } from '../../../src/protocol/header.ts'
import { apiVersions } from '../../../src/protocol/messages/api-versions.ts'
import { createTopics } from '../../../src/protocol/messages/create-topics.ts'
import { initProducerId } from '../../../src/protocol/messages/init-producer-id.ts'
import { metadata } from '../../../src/protocol/messages/metadata.ts'
import { produce } from '../../../src/protocol/messages/produce.ts'
import { type MessageKind, messageKind, messageKinds } from '../../support/arbitraries.ts'

const atEveryVersion = messageKinds.flatMap((kind) =>
  kind.versions.map((version) => [kind.name, version, kind] as const),
)

/** What becomes of decoding: a value, or the refusal of a peer's bytes. Anything else is a fault of ours and is thrown. */
function outcomeOf(kind: MessageKind, bytes: Uint8Array, version: number): unknown {
  try {
    return kind.decode(bytes, version)
  } catch (error) {
    if (error instanceof KafkaError && error.code === 'PROTOCOL_ERROR') return error
    throw error
  }
}

test('all five APIs are asked, both directions, at all their versions', () => {
  expect(messageKinds.length).toBe(10)
  expect(atEveryVersion.length).toBe(2 * (5 + 14 + 11 + 6 + 6))
})

describe.each(atEveryVersion)('%s v%s', (_name, version, kind) => {
  test('comes back as it was sent, with defaults where the version has no such field', () => {
    fc.assert(
      fc.property(kind.any, (message) => {
        const sent = kind.cut(message, version)
        expect(kind.decode(kind.encode(sent, version), version)).toEqual(sent)
      }),
      { numRuns: 50 },
    )
  })

  test('is written as without the field, or refused with UNSUPPORTED_VERSION, where the version lacks a field that is set', () => {
    fc.assert(
      fc.property(kind.any, (message) => {
        const refused = refusalOf(() => kind.encode(message, version))
        if (refused === undefined) {
          expect(kind.decode(kind.encode(message, version), version)).toEqual(kind.cut(message, version))
        } else {
          expect(refused).toEqual(expect.objectContaining({ code: 'UNSUPPORTED_VERSION' }))
          expect(kind.cut(message, version)).not.toEqual(message)
        }
      }),
      { numRuns: 50 },
    )
  })

  test('cut at any byte is refused, and so is one with a byte too many', () => {
    fc.assert(
      fc.property(kind.any, (message) => {
        const whole = kind.encode(withoutRefusal(kind.cut(message, version)), version)
        for (let length = 0; length < whole.length; length++) {
          expect(outcomeOf(kind, whole.subarray(0, length), version)).toBeInstanceOf(KafkaError)
        }
        expect(outcomeOf(kind, Uint8Array.of(...whole, 0), version)).toBeInstanceOf(KafkaError)
      }),
      { numRuns: 5 },
    )
  })

  test('with any byte changed, or made of any bytes, is a value or a refusal', () => {
    fc.assert(
      fc.property(
        kind.any,
        fc.nat(),
        fc.nat({ max: 255 }),
        fc.uint8Array({ maxLength: 60 }),
        (message, at, byte, noise) => {
          const changed = Uint8Array.from(kind.encode(kind.cut(message, version), version))
          changed[at % Math.max(1, changed.length)] = byte
          outcomeOf(kind, changed, version)
          outcomeOf(kind, noise, version)
        },
      ),
      { numRuns: 50 },
    )
  })
})

const apis = [apiVersions, metadata, produce, initProducerId, createTopics] as readonly Api<unknown, unknown>[]

describe.each(apis)('a response frame of $name', (api) => {
  const versions = Array.from(
    { length: api.versions.max - api.versions.min + 1 },
    (_, index) => api.versions.min + index,
  )
  const kind = messageKind(`${api.name}Response`)

  test.each(versions)('v%s, cut at any byte, is an error that names API and version', (version) => {
    const [message] = fc.sample(kind.any, { numRuns: 1, seed: 1 })
    const response = withoutRefusal(kind.cut(message, version))
    const frame = new Uint8Array(
      Buffer.concat(encodeResponseFrame(api, response, { version, correlationId: 1 })),
    ).subarray(4)
    expect(decodeResponseBody(api, version, frame)).toEqual(response)
    for (let length = 0; length < frame.length; length++) {
      const refused = refusalOf(() => decodeResponseBody(api, version, frame.subarray(0, length)))
      expect(refused).toEqual(
        expect.objectContaining({
          code: 'PROTOCOL_ERROR',
          message: expect.stringMatching(`^${api.name} v${version} response of ${length} bytes: .* byte \\d+`),
        }),
      )
    }
  })
})

// Error 35 has a shape of its own in ApiVersions (api-versions.test.ts): a longer answer cut there is a whole one.
function withoutRefusal(message: unknown): unknown {
  const { errorCode } = message as { errorCode?: number }
  return errorCode === 35 ? { ...(message as object), errorCode: 0 } : message
}

function refusalOf(act: () => unknown): unknown {
  try {
    act()
    return undefined
  } catch (error) {
    return error
  }
}
