import Long from 'long'
import { describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { clientSoftware, negotiateVersions, versionAfterReset } from '../../src/net/handshake.ts'
import type { ApiVersionsResponse } from '../../src/protocol/messages/api-versions.ts'

function response(errorCode: number, apis: readonly (readonly [number, number, number])[]): ApiVersionsResponse {
  return {
    errorCode,
    apiKeys: apis.map(([apiKey, minVersion, maxVersion]) => ({ apiKey, minVersion, maxVersion })),
    throttleTimeMs: 0,
    supportedFeatures: [],
    finalizedFeaturesEpoch: Long.NEG_ONE,
    finalizedFeatures: [],
    zkMigrationReady: false,
  }
}

/** A broker that refuses with these hints, one after the other, and then answers. `null`: an empty list, as before Kafka 2.4. */
async function askedAt(hints: readonly (number | null)[], firstVersion = 4): Promise<number[]> {
  const asked: number[] = []
  await negotiateVersions(
    async (version) => {
      const hint = hints[asked.length]
      asked.push(version)
      if (hint === undefined) return response(0, [[0, 0, 9]])
      return response(35, hint === null ? [] : [[18, 0, hint]])
    },
    firstVersion,
    'b:9092',
  )
  return asked
}

describe('negotiateVersions', () => {
  test('gives the range of each API', async () => {
    const ranges = await negotiateVersions(
      async () =>
        response(0, [
          [0, 3, 11],
          [3, 0, 12],
        ]),
      4,
      'b:9092',
    )
    expect([...ranges]).toEqual([
      [0, { min: 3, max: 11 }],
      [3, { min: 0, max: 12 }],
    ])
  })

  test('asks once when the broker understands', async () => {
    expect(await askedAt([])).toEqual([4])
  })

  test('follows the hint of error 35', async () => {
    expect(await askedAt([3])).toEqual([4, 3])
    expect(await askedAt([2])).toEqual([4, 2])
  })

  test('asks at 0 when error 35 comes with an empty list', async () => {
    expect(await askedAt([null])).toEqual([4, 0])
  })

  test.each([4, 5, 32_767, -1])('a hint of %i is not lower: it asks at 0', async (hint) => {
    expect(await askedAt([hint])).toEqual([4, 0])
  })

  test('each hint must be lower than the last, so it ends', async () => {
    expect(await askedAt([3, 3])).toEqual([4, 3, 0])
    expect(await askedAt([3, 2, 1, 0])).toEqual([4, 3, 2, 1, 0])
  })

  test('a broker that refuses even version 0 is too old', async () => {
    await expect(askedAt([null, null])).rejects.toMatchObject({
      code: 'UNSUPPORTED_VERSION',
      broker: 'b:9092',
      message: expect.stringContaining('b:9092 refused every version of ApiVersions'),
    })
  })

  test('an answer without any API is a protocol error', async () => {
    await expect(negotiateVersions(async () => response(0, []), 4, 'b:9092')).rejects.toMatchObject({
      code: 'PROTOCOL_ERROR',
    })
  })

  test("another error has the broker's own name", async () => {
    await expect(negotiateVersions(async () => response(129, []), 4, 'b:9092')).rejects.toMatchObject({
      code: 'REBOOTSTRAP_REQUIRED',
      broker: 'b:9092',
    })
  })
})

test('only a reset at version 4 is worth a second connection', () => {
  expect([4, 3, 2, 1, 0].map(versionAfterReset)).toEqual([3, undefined, undefined, undefined, undefined])
})

test('we call ourselves by our name and version, in the characters that brokers allow', () => {
  const allowed = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/
  expect(clientSoftware).toEqual({ clientSoftwareName: packageJson.name, clientSoftwareVersion: packageJson.version })
  expect(clientSoftware.clientSoftwareName).toMatch(allowed)
  expect(clientSoftware.clientSoftwareVersion).toMatch(allowed)
})
