import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { GiveUpReason, Waiter } from '../../src/producer/line.ts'
import { Line } from '../../src/producer/line.ts'
import { generationOf } from './rig.ts'

class FakeWaiter implements Waiter {
  readonly name: number
  readonly bytes: number
  readonly waitingSince = 0
  readonly neededBytes = 0
  readonly recordCount = 1
  readonly topicName = 'orders'
  readonly generation = generationOf()
  isGone = false
  hasEntered = false

  constructor(name: number, bytes = 10) {
    this.name = name
    this.bytes = bytes
  }

  tryEnter(): boolean {
    return true
  }

  giveUp(_reason: GiveUpReason): void {
    this.isGone = true
  }
}

const nameOf = (waiter: Waiter | undefined) => (waiter as FakeWaiter | undefined)?.name

function lineOf(count: number): { line: Line; waiters: FakeWaiter[] } {
  const line = new Line()
  const waiters = Array.from({ length: count }, (_, i) => new FakeWaiter(i))
  for (const waiter of waiters) line.push(waiter)
  return { line, waiters }
}

describe('the line', () => {
  test('first come, first served, over many chunks', () => {
    const { line } = lineOf(5000)
    const served: (number | undefined)[] = []
    for (; !line.isEmpty; line.shift()) served.push(nameOf(line.head()))
    expect(served).toEqual(Array.from({ length: 5000 }, (_, i) => i))
    expect(line.head()).toBeUndefined()
  })

  test('an empty line has no head, and shifting it changes nothing', () => {
    const line = new Line()
    line.shift()
    expect([line.head(), line.count, line.bytes, line.isEmpty]).toEqual([undefined, 0, 0, true])
    line.push(new FakeWaiter(1))
    line.shift()
    line.shift()
    expect([line.head(), line.count, line.bytes, line.isEmpty]).toEqual([undefined, 0, 0, true])
  })

  test('looking at the head moves nobody', () => {
    const { line } = lineOf(2)
    expect([nameOf(line.head()), nameOf(line.head())]).toEqual([0, 0])
    expect(line.count).toBe(2)
  })

  test('who got in is told so, and counts no more', () => {
    const { line, waiters } = lineOf(2)
    line.shift()
    expect(waiters.map(({ hasEntered }) => hasEntered)).toEqual([true, false])
    expect([line.count, line.bytes]).toEqual([1, 10])
  })

  test('bytes are those of everybody who waits', () => {
    const line = new Line()
    for (const bytes of [1, 20, 300]) line.push(new FakeWaiter(bytes, bytes))
    expect(line.bytes).toBe(321)
    line.shift()
    expect(line.bytes).toBe(320)
  })

  test('who gives up is passed over, wherever it stands, and gives its count and bytes back once', () => {
    const { line, waiters } = lineOf(4)
    line.abandon(waiters[0]!)
    line.abandon(waiters[2]!)
    line.abandon(waiters[2]!)
    expect([line.count, line.bytes]).toEqual([2, 20])
    const served: (number | undefined)[] = []
    for (; !line.isEmpty; line.shift()) served.push(nameOf(line.head()))
    expect(served).toEqual([1, 3])
  })

  test('when everybody gave up it is empty, and can be used again', () => {
    const { line, waiters } = lineOf(3000)
    for (const waiter of waiters) line.abandon(waiter)
    expect([line.head(), line.count, line.bytes, line.isEmpty]).toEqual([undefined, 0, 0, true])
    line.push(new FakeWaiter(9))
    expect(nameOf(line.head())).toBe(9)
  })

  test('taking all gives those who still wait, in order, and leaves nobody', () => {
    const { line, waiters } = lineOf(2500)
    for (let i = 0; i < 1100; i++) line.shift()
    line.abandon(waiters[1100]!)
    line.abandon(waiters[2499]!)
    expect(line.takeAll().map(nameOf)).toEqual(Array.from({ length: 1398 }, (_, i) => 1101 + i))
    expect([line.head(), line.count, line.bytes, line.isEmpty]).toEqual([undefined, 0, 0, true])
  })
})

describe('what it holds', () => {
  test('those who gave up behind a head that does not move are let go of: as many again as wait, and a thousand', () => {
    const { line } = lineOf(100)
    for (let i = 0; i < 50_000; i++) {
      const waiter = new FakeWaiter(1_000 + i)
      line.push(waiter)
      line.abandon(waiter)
    }
    expect(line.count).toBe(100)
    expect(line.held).toBeLessThanOrEqual(2 * 100 + 1024)
    expect(line.takeAll().map(nameOf)).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })

  test('so are those who gave up behind others who get in one by one', () => {
    const { line, waiters } = lineOf(10_000)
    for (const waiter of waiters.slice(4500)) line.abandon(waiter)
    for (let i = 0; i < 4499; i++) line.shift()
    expect([line.count, nameOf(line.head())]).toEqual([1, 4499])
    expect(line.held).toBeLessThanOrEqual(2 + 1024)
  })

  test('those who got in are let go of at once, not when their whole chunk has', () => {
    const { line } = lineOf(1000)
    for (let i = 0; i < 900; i++) line.shift()
    expect(line.held).toBe(100)
  })
})

test('whatever is done, it is a queue from which some walk away', () => {
  type Step = { readonly kind: 'push' | 'shift' | 'abandon' | 'takeAll' | 'pushMany'; readonly at: number }
  const anyStep: fc.Arbitrary<Step> = fc.record({
    kind: fc.constantFrom(
      ...(['push', 'push', 'push', 'shift', 'shift', 'abandon', 'abandon', 'pushMany', 'takeAll'] as const),
    ),
    at: fc.nat(),
  })
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 120 }), (steps) => {
      const line = new Line()
      let model: FakeWaiter[] = []
      let name = 0
      const push = () => {
        const waiter = new FakeWaiter(name, (name % 7) * 100)
        name++
        line.push(waiter)
        model.push(waiter)
      }
      for (const { kind, at } of steps) {
        if (kind === 'push') push()
        else if (kind === 'pushMany') for (let i = 0; i < 700; i++) push()
        else if (kind === 'shift') {
          line.shift()
          model.shift()
        } else if (kind === 'abandon') {
          const run = model.splice(at % Math.max(1, model.length), at % 2 === 0 ? 1 : 600)
          for (const waiter of run) line.abandon(waiter)
        } else {
          expect(line.takeAll().map(nameOf)).toEqual(model.map(nameOf))
          model = []
        }
        expect(nameOf(line.head())).toBe(nameOf(model[0]))
        expect(line.count).toBe(model.length)
        expect(line.bytes).toBe(model.reduce((sum, { bytes }) => sum + bytes, 0))
        expect(line.held).toBeGreaterThanOrEqual(line.count)
        expect(line.held).toBeLessThanOrEqual(2 * line.count + 1024)
      }
      const served: (number | undefined)[] = []
      for (; !line.isEmpty; line.shift()) served.push(nameOf(line.head()))
      expect(served).toEqual(model.map(nameOf))
    }),
    { numRuns: 150 },
  )
})
