import { expect, test } from 'vitest'
import { BrokerPool } from '../../src/net/broker-pool.ts'
import { requestAllNames, requestMetadata } from '../../src/net/metadata-request.ts'
import { bytes, toHex } from '../support/byte-builder.ts'
import { broker, FakeNetwork } from './fake-network.ts'
import { metadataBody } from './metadata-bytes.ts'

const BROKERS = [[1, 'b1', 9092]] as const

/** What the broker got behind the header: key, version, correlation id, client id `test`, tags from version 9 on. */
function stage(version: number): { pool: BrokerPool; bodies: string[] } {
  const network = new FakeNetwork()
  const bodies: string[] = []
  const answering = broker(
    async (frame, peer) => {
      bodies.push(toHex(frame.bytes.subarray(version >= 9 ? 15 : 14)))
      if (version >= 7) await peer.answer(frame, metadataBody(version, { brokers: BROKERS }))
      // v3: throttle time, brokers, cluster id, controller, topics.
      else await peer.answer(frame, bytes().int32(0).int32(0).string(null).int32(-1).int32(0))
    },
    [
      [3, 0, version],
      [18, 0, 4],
    ],
  )
  network.listen('seed:9092', answering)
  return { pool: new BrokerPool(network.options()), bodies }
}

const ask = async (version: number, names: readonly string[] | null, allowAutoTopicCreation: boolean) => {
  const { pool, bodies } = stage(version)
  const answer = await requestMetadata(pool, names, { allowAutoTopicCreation, keepAlive: true })
  expect(answer.version).toBe(version)
  return bodies[0]
}

test('v13: no topics is an empty list, all topics is null', async () => {
  expect(await ask(13, [], true)).toBe(toHex(bytes().compactCount(0).boolean(true).boolean(false).noTags().done()))
  expect(await ask(13, null, false)).toBe(
    toHex(bytes().unsignedVarint(0).boolean(false).boolean(false).noTags().done()),
  )
})

test('v12: a topic is asked for by name, its id is zeros', async () => {
  const topic = bytes().fill(0, 16).compactString('orders').noTags()
  expect(await ask(12, ['orders'], false)).toBe(
    toHex(bytes().compactCount(1).raw(topic).boolean(false).boolean(false).noTags().done()),
  )
})

test('v7: int32 count, int16 length, one flag', async () => {
  expect(await ask(7, ['orders'], true)).toBe(toHex(bytes().int32(1).string('orders').boolean(true).done()))
})

test('below v4 nobody can forbid the creation of topics, and nothing fails for it', async () => {
  expect(await ask(3, ['orders'], false)).toBe(toHex(bytes().int32(1).string('orders').done()))
})

test('all names: those with an error and those that are internal are left out', async () => {
  const network = new FakeNetwork()
  const topics = [
    { name: 'orders', partitions: [{ leader: 1 }] },
    { name: 'secret', error: 29 },
    { name: '__offsets', isInternal: true, partitions: [{ leader: 1 }] },
  ]
  network.listen(
    'seed:9092',
    broker((frame, peer) => peer.answer(frame, metadataBody(13, { brokers: BROKERS, topics }))),
  )
  expect(await requestAllNames(new BrokerPool(network.options()))).toEqual(['orders'])
})
