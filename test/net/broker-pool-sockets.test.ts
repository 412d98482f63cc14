// The pool on real sockets and real time: what a fake clock cannot show, above all whether the process can end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import Long from 'long'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { BrokerPool } from '../../src/net/broker-pool.ts'
import { tcpDial } from '../../src/net/dial.ts'
import { initProducerId } from '../../src/protocol/messages/init-producer-id.ts'
import { bytes } from '../support/byte-builder.ts'
import { startWireServer, type WirePeer } from '../support/wire-server.ts'
import { broker, FakeNetwork } from './fake-network.ts'

const answering = broker((frame, peer) =>
  peer.answer(frame, bytes().noTags().int32(0).int16(0).int64(7n).int16(0).noTags()),
)

test('one connection for Produce, one for control; close leaves neither', async () => {
  const peers: WirePeer[] = []
  await using server = await startWireServer(async (peer) => {
    peers.push(peer)
    await answering(peer)
  })
  const options = new FakeNetwork().options({ bootstrapServers: [server], dial: tcpDial, clock: systemClock })
  const pool = new BrokerPool(options)
  pool.setBrokers([{ nodeId: 1, host: server.host, port: server.port, rack: null }])
  const opened = new Promise<void>((resolve) => {
    pool.onLaneChange = (lane) => {
      if (lane.state.kind === 'open') resolve()
    }
  })
  pool.lane(1).connect()
  const request = { transactionalId: null, transactionTimeoutMs: 0, producerId: Long.NEG_ONE, producerEpoch: -1 }
  const { producerId } = await pool.control(initProducerId, request)
  await opened
  expect(producerId.toNumber()).toBe(7)
  expect(server.connectionCount).toBe(2)
  await pool.close()
  await Promise.all(peers.map(({ gone }) => gone))
})

const source = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href)

// A process of its own that opens a lane and the control connection to `port`, says so, runs `then` and never calls close.
async function endOf(port: number, then: string): Promise<{ code: number; said: string }> {
  const script = `
    import { BrokerPool } from ${source('net/broker-pool.ts')}
    import { Cluster } from ${source('net/cluster.ts')}
    import { tcpDial } from ${source('net/dial.ts')}
    import { systemClock } from ${source('clock.ts')}
    import { initProducerId } from ${source('protocol/messages/init-producer-id.ts')}
    import Long from ${JSON.stringify(import.meta.resolve('long'))}
    const quiet = () => {}
    const options = {
      bootstrapServers: [{ host: '127.0.0.1', port: ${port} }], clientId: 'test', requestTimeoutMs: 30_000,
      connectionsMaxIdleMs: 540_000, reconnectBackoffMs: 50, reconnectBackoffMaxMs: 1_000, retryBackoffMs: 100,
      retryBackoffMaxMs: 1_000, socketConnectionSetupTimeoutMs: 10_000, socketConnectionSetupTimeoutMaxMs: 30_000,
      metadataMaxAgeMs: 300_000, metadataMaxIdleMs: 300_000, metadataRecoveryStrategy: 'rebootstrap',
      metadataRecoveryRebootstrapTriggerMs: 300_000, allowAutoTopicCreation: true, brokerAddressMapper: undefined,
      dial: tcpDial, clock: systemClock, random: Math.random, log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    }
    const pool = new BrokerPool(options)
    pool.setBrokers([{ nodeId: 1, host: '127.0.0.1', port: ${port}, rack: null }])
    const request = { transactionalId: null, transactionTimeoutMs: 0, producerId: Long.NEG_ONE, producerEpoch: -1 }
    ${then}
  `
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const [code] = (await once(child, 'close')) as [number]
  return { code, said }
}

test('a process with open, idle connections ends by itself, without close', async () => {
  await using server = await startWireServer(answering)
  const end = await endOf(
    server.port,
    `
    const opened = new Promise((resolve) => { pool.onLaneChange = resolve })
    pool.lane(1).connect()
    await pool.control(initProducerId, request)
    await opened
    console.log(pool.lane(1).state.kind)
  `,
  )
  expect(end).toEqual({ code: 0, said: 'open\n' })
  expect(server.connectionCount).toBe(2)
})

test('a process whose cluster cannot be reached ends by itself while nobody waits', async () => {
  const { port, close } = await startWireServer(() => {})
  await close()
  const end = await endOf(
    port,
    `
    const cluster = new Cluster(pool, options)
    cluster.track('orders')
    cluster.onFailure = (error) => console.log(error.code)
  `,
  )
  expect(end).toEqual({ code: 0, said: 'BOOTSTRAP_FAILED\n' })
})

test('a process that awaits an answer lives until it comes', async () => {
  await using server = await startWireServer(
    broker(async (frame, peer) => {
      await new Promise((resolve) => setTimeout(resolve, 200))
      await peer.answer(frame, bytes().noTags().int32(0).int16(0).int64(7n).int16(0).noTags())
    }),
  )
  const end = await endOf(
    server.port,
    'pool.control(initProducerId, request).then(({ producerId }) => console.log(String(producerId)))',
  )
  expect(end).toEqual({ code: 0, said: '7\n' })
})
