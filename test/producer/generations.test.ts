// What `flush` waits for: exactly the records that were handed over before it.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type FlushWait, type Generation, Generations } from '../../src/producer/generations.ts'

type Report = { delivered: number; failed: number }

/** A flush whose report is noted when it comes. */
function flush(generations: Generations): { readonly reports: Report[]; readonly wait: FlushWait } {
  const reports: Report[] = []
  return { reports, wait: generations.flush((report) => reports.push(report)) }
}

describe('flush', () => {
  test('is done at once when nothing is out', () => {
    const { reports, wait } = flush(new Generations())
    expect(reports).toEqual([{ delivered: 0, failed: 0 }])
    expect(wait.outstanding).toBe(0)
  })

  test('waits for what was handed over before, and counts how it ended', () => {
    const generations = new Generations()
    const first = generations.accept()
    expect(generations.accept()).toBe(first)
    expect(generations.accept()).toBe(first)
    const { reports, wait } = flush(generations)
    expect(wait.outstanding).toBe(3)
    generations.settled(first, 1, 0)
    generations.settled(first, 0, 1)
    expect([reports, wait.outstanding, wait.report]).toEqual([[], 1, { delivered: 1, failed: 1 }])
    generations.settled(first, 1, 0)
    expect(reports).toEqual([{ delivered: 2, failed: 1 }])
    expect([generations.outstanding, wait.outstanding]).toEqual([0, 0])
  })

  test('does not wait for what comes later, nor count it', () => {
    const generations = new Generations()
    const before = generations.accept()
    const { reports } = flush(generations)
    const after = generations.accept()
    expect(after).not.toBe(before)
    generations.settled(after, 1, 0)
    expect(reports).toEqual([])
    generations.settled(before, 1, 0)
    expect(reports).toEqual([{ delivered: 1, failed: 0 }])
  })

  test('a second one right behind it waits for the same, with no generation between them', () => {
    const generations = new Generations()
    const generation = generations.accept()
    const flushes = [flush(generations), flush(generations), flush(generations)]
    expect(generations.current.number).toBe(generation.number + 1)
    expect(flushes.map(({ wait }) => wait.outstanding)).toEqual([1, 1, 1])
    generations.settled(generation, 0, 1)
    expect(flushes.map(({ reports }) => reports)).toEqual(new Array(3).fill([{ delivered: 0, failed: 1 }]))
  })

  test('says which generations are due at once', () => {
    const generations = new Generations()
    expect(generations.flushedUpTo).toBe(0)
    const first = generations.accept()
    expect(first.number).toBeGreaterThan(generations.flushedUpTo)
    flush(generations)
    expect(generations.flushedUpTo).toBe(first.number)
    const second = generations.accept()
    expect(second.number).toBeGreaterThan(generations.flushedUpTo)
    flush(generations)
    expect(generations.flushedUpTo).toBe(second.number)
  })

  test('two flushes with records between them: the older one does not wait for the younger', () => {
    const generations = new Generations()
    const first = generations.accept()
    const older = flush(generations)
    const second = generations.accept()
    const younger = flush(generations)
    generations.settled(second, 1, 0)
    expect([older.reports, younger.reports]).toEqual([[], []])
    generations.settled(first, 1, 0)
    expect([older.reports, younger.reports]).toEqual([[{ delivered: 1, failed: 0 }], [{ delivered: 2, failed: 0 }]])
  })

  test('the records of a sendMany belong to the generation of its call, also those that get in later', () => {
    const generations = new Generations()
    const generation = generations.current
    generations.acceptInto(generation, 1000)
    const { reports, wait } = flush(generations)
    expect(wait.outstanding).toBe(1000)
    generations.accept()
    generations.settled(generation, 900, 100)
    expect(reports).toEqual([{ delivered: 900, failed: 100 }])
    expect(generations.outstanding).toBe(1)
  })

  test('one that is cancelled is never told, and others are', () => {
    const generations = new Generations()
    const generation = generations.accept()
    const [cancelled, other] = [flush(generations), flush(generations)]
    cancelled.wait.cancel()
    cancelled.wait.cancel()
    generations.settled(generation, 1, 0)
    expect([cancelled.reports, other.reports]).toEqual([[], [{ delivered: 1, failed: 0 }]])
    other.wait.cancel()
    generations.settled(generations.accept(), 1, 0)
    expect(other.reports).toHaveLength(1)
  })

  test('may be called where another one is done, and where records are accepted there', () => {
    const generations = new Generations()
    const generation = generations.accept()
    const order: string[] = []
    generations.flush(() => {
      order.push('outer')
      generations.flush(() => order.push('inner, nothing out'))
      const late = generations.accept()
      generations.flush(() => order.push('inner, one out'))
      generations.settled(late, 1, 0)
    })
    generations.flush(() => order.push('neighbour'))
    generations.settled(generation, 1, 0)
    expect(order).toEqual(['outer', 'inner, nothing out', 'inner, one out', 'neighbour'])
  })

  test('one that cancels its neighbour where it is done is too late: both were done together', () => {
    const generations = new Generations()
    const generation = generations.accept()
    const told: string[] = []
    let neighbour: FlushWait | undefined
    generations.flush(() => {
      told.push('first')
      neighbour?.cancel()
    })
    neighbour = generations.flush(() => told.push('neighbour'))
    generations.settled(generation, 1, 0)
    expect(told).toEqual(['first', 'neighbour'])
  })
})

// ── Against a model: every record knows whether it was handed over before a flush ───────────────────────────────────────

interface ModelFlush {
  readonly waitsFor: Set<number>
  readonly all: readonly number[]
  readonly reports: Report[]
  isCancelled: boolean
  readonly wait: FlushWait
}

type Step =
  | { readonly kind: 'accept' }
  | { readonly kind: 'flush' }
  | { readonly kind: 'acceptMany'; readonly count: number }
  | { readonly kind: 'settle'; readonly at: number; readonly count: number; readonly isDelivered: boolean }
  | { readonly kind: 'cancel'; readonly at: number }

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ kind: 'accept' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'flush' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('acceptMany' as const), count: fc.nat({ max: 4 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('settle' as const),
      at: fc.nat(),
      count: fc.integer({ min: 1, max: 4 }),
      isDelivered: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), at: fc.nat() }) },
)

test('whatever happens, a flush is told once, exactly when the last record before it has settled, with how they ended', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 150 }), (steps) => {
      const generations = new Generations()
      let nextRecord = 0
      // Settled together are records of one batch, which are of one generation.
      const out = new Map<Generation, number[]>()
      const outcome = new Map<number, boolean>()
      const flushes: ModelFlush[] = []
      const isOut = () => [...out.values()].flat()
      const accept = (generation: Generation) => {
        out.set(generation, [...(out.get(generation) ?? []), nextRecord++])
      }
      for (const step of steps) {
        if (step.kind === 'accept') accept(generations.accept())
        else if (step.kind === 'acceptMany') {
          const generation = generations.current
          generations.acceptInto(generation, step.count)
          for (let i = 0; i < step.count; i++) accept(generation)
        } else if (step.kind === 'flush') {
          const all = isOut()
          const reports: Report[] = []
          const wait = generations.flush((report) => reports.push(report))
          flushes.push({ waitsFor: new Set(all), all, reports, isCancelled: false, wait })
        } else if (step.kind === 'settle') {
          const some = [...out].filter(([, records]) => records.length > 0)
          if (some.length === 0) continue
          const [generation, records] = some[step.at % some.length]!
          // In any order: partitions know nothing of each other.
          const settled = records.splice(step.at % records.length, step.count)
          for (const record of settled) {
            outcome.set(record, step.isDelivered)
            for (const { waitsFor } of flushes) waitsFor.delete(record)
          }
          generations.settled(generation, step.isDelivered ? settled.length : 0, step.isDelivered ? 0 : settled.length)
        } else {
          const waiting = flushes.filter(({ waitsFor, isCancelled }) => waitsFor.size > 0 && !isCancelled)
          if (waiting.length === 0) continue
          const chosen = waiting[step.at % waiting.length]!
          chosen.isCancelled = true
          chosen.wait.cancel()
        }
        expect(generations.outstanding).toBe(isOut().length)
        for (const { waitsFor, all, reports, isCancelled, wait } of flushes) {
          const delivered = all.filter((record) => outcome.get(record) === true).length
          const failed = all.filter((record) => outcome.get(record) === false).length
          if (isCancelled) expect(reports).toEqual([])
          else {
            expect(reports).toEqual(waitsFor.size === 0 ? [{ delivered, failed }] : [])
            expect(wait.outstanding).toBe(waitsFor.size)
            if (all.length > 0) expect(wait.report).toEqual({ delivered, failed })
          }
        }
      }
    }),
    { numRuns: 300 },
  )
})
