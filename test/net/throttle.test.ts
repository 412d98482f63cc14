import { expect, test } from 'vitest'
import { clientMustHold } from '../../src/net/throttle.ts'

test.each([
  ['Produce', 0, 6],
  ['Metadata', 3, 6],
  ['ApiVersions', 18, 2],
  ['CreateTopics', 19, 3],
  ['InitProducerId', 22, 1],
])('%s: the client holds from its first version of KIP-219 on', (_name, apiKey, version) => {
  expect(clientMustHold(apiKey, version - 1)).toBe(false)
  expect(clientMustHold(apiKey, version)).toBe(true)
  expect(clientMustHold(apiKey, version + 1)).toBe(true)
})

test('an API that is not ours holds nobody', () => {
  expect(clientMustHold(1, 12)).toBe(false)
})
