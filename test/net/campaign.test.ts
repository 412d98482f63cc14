import { describe, expect, test } from 'vitest'
import { type Candidate, type Outcome, reachAny } from '../../src/net/campaign.ts'
import { Connector } from '../../src/net/connector.ts'
import { broker, FakeNetwork } from './fake-network.ts'

const candidate = (host: string): Candidate => ({ address: { host, port: 9092 }, brokerName: host, nodeId: undefined })
const ABC = ['a', 'b', 'c'].map(candidate)
const listening = broker(() => {})

interface Stage {
  readonly network: FakeNetwork
  readonly connector: Connector
  readonly controller: AbortController
  reach(candidates?: readonly Candidate[]): Promise<Outcome>
}

function stage(): Stage {
  const network = new FakeNetwork()
  const connector = new Connector(network.options())
  const controller = new AbortController()
  const reach = (candidates = ABC) => reachAny(candidates, connector, network.clock, controller.signal, () => {})
  return { network, connector, controller, reach }
}

const failed = async ({ network, connector }: Stage, host: string): Promise<void> => {
  await connector.open(candidate(host).address, host, new AbortController().signal, () => {}).catch(() => {})
  network.dials.length = 0
}

describe('reachAny', () => {
  test('tries the candidates in their order, the next one as soon as one has failed', async () => {
    const all = stage()
    all.network.listen('c:9092', listening)
    const outcome = await all.reach()
    expect(outcome).toMatchObject({ kind: 'reached', candidate: ABC[2] })
    expect(all.network.dials).toEqual(['a:9092', 'b:9092', 'c:9092'])
    expect(all.network.clock.now()).toBe(1_000)
  })

  test('gives a silent one a second alone, and takes it when it is the first to answer after all', async () => {
    const all = stage()
    let answer = (): void => {}
    const answering = new Promise<void>((resolve) => {
      answer = resolve
    })
    all.network.listen('a:9092', async (peer) => {
      await answering
      await listening(peer)
    })
    all.network.listen('b:9092', 'is silent')
    const reached = all.reach()
    await all.network.pass(1_000)
    expect(all.network.dials).toEqual(['a:9092', 'b:9092'])
    answer()
    expect(await reached).toMatchObject({ kind: 'reached', candidate: ABC[0] })
    expect(all.network.clock.keepAliveCount).toBe(0)
  })

  test('closes a connection that comes after another has won', async () => {
    const all = stage()
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    // Both shake hands in the same turn.
    for (const where of ['a:9092', 'b:9092']) {
      all.network.listen(where, async (peer) => {
        await held
        await listening(peer)
      })
    }
    const reached = all.reach()
    await all.network.pass(1_000)
    release()
    expect((await reached).kind).toBe('reached')
    await all.network.settle()
    expect(all.network.openCount('a:9092') + all.network.openCount('b:9092')).toBe(1)
  })

  test('leaves those in back-off for the end', async () => {
    const all = stage()
    await failed(all, 'a')
    for (const where of ['a:9092', 'b:9092']) all.network.listen(where, listening)
    expect(await all.reach()).toMatchObject({ kind: 'reached', candidate: ABC[1] })
    expect(all.network.dials).toEqual(['b:9092'])
  })

  test('names those it did not try with what they said the last time', async () => {
    const all = stage()
    await failed(all, 'b')
    const outcome = await all.reach()
    if (outcome.kind !== 'unreachable') throw new Error(outcome.kind)
    expect(all.network.dials).toEqual(['a:9092', 'c:9092'])
    expect(outcome.failures.map((failure) => failure.candidate.brokerName)).toEqual(['a', 'c', 'b'])
    for (const {
      candidate: { brokerName },
      error,
    } of outcome.failures)
      expect(error.message).toContain(brokerName)
  })

  test('waits for the first back-off to end when all are in back-off: every campaign tries somebody', async () => {
    const all = stage()
    for (const host of ['a', 'b']) await failed(all, host)
    await all.network.pass(20)
    await failed(all, 'c')
    const reached = all.reach()
    await all.network.pass(29)
    expect(all.network.dials).toEqual([])
    await all.network.pass(1)
    // 'c' is still in back-off when the others have failed.
    expect(all.network.dials).toEqual(['a:9092', 'b:9092'])
    expect((await reached).kind).toBe('unreachable')
    expect(all.network.clock.pendingDelaysMs).toEqual([])
  })

  test('aborted, it calls every attempt back and says so', async () => {
    const all = stage()
    for (const where of ['a:9092', 'b:9092', 'c:9092']) all.network.listen(where, 'is silent')
    const reached = all.reach()
    await all.network.pass(1_000)
    all.controller.abort()
    expect(await reached).toEqual({ kind: 'aborted' })
    await all.network.settle()
    expect(all.network.clock.pendingDelaysMs).toEqual([])
    expect(all.network.dials).toEqual(['a:9092', 'b:9092'])
    expect(await all.reach()).toEqual({ kind: 'aborted' })
  })

  test('without candidates nobody is reached, at once', async () => {
    expect(await stage().reach([])).toEqual({ kind: 'unreachable', failures: [] })
  })
})
