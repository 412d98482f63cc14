import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, test } from 'vitest'
import { OwnContext } from '../../src/producer/own-context.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { turns } from '../support/stand.ts'

const storage = new AsyncLocalStorage<string>()

describe('the own context', () => {
  test('is the one in which it was made', () => {
    const context = storage.run('owner', () => new OwnContext())
    expect(storage.run('caller', () => context.run(() => storage.getStore()))).toBe('owner')
    expect(new OwnContext().run(() => storage.getStore())).toBeUndefined()
  })

  test('hands on what the work answers and throws', () => {
    const context = new OwnContext()
    expect(context.run(() => 7)).toBe(7)
    const fault = new Error('fault')
    const work = () => {
      throw fault
    }
    expect(() => context.run(work)).toThrow(fault)
  })

  test('is kept behind await', async () => {
    const context = storage.run('owner', () => new OwnContext())
    const work = async () => {
      await turns(1)
      return storage.getStore()
    }
    expect(await storage.run('caller', () => context.run(work))).toBe('owner')
  })

  test('is that of turns and timers on its clock, whoever asks for them', async () => {
    const fake = new FakeClock()
    const clock = storage
      .run('owner', () => new OwnContext())
      .clock({
        now: () => fake.now(),
        wallTimeMs: () => fake.wallTimeMs(),
        // The real ones: the fake clock's timers belong to nobody.
        setTimer: (delayMs, callback) => {
          const timer = setTimeout(callback, delayMs)
          return { cancel: () => clearTimeout(timer) }
        },
        soon: (callback) => void setImmediate(callback),
      })
    const seen: (string | undefined)[] = []
    await storage.run(
      'caller',
      () =>
        new Promise<void>((resolve) => {
          clock.soon(() => seen.push(storage.getStore()))
          clock.setTimer(0, () => {
            seen.push(storage.getStore())
            resolve()
          })
        }),
    )
    await turns(2)
    expect(seen).toEqual(['owner', 'owner'])
    expect(clock.now()).toBe(fake.now())
    expect(clock.wallTimeMs()).toBe(fake.wallTimeMs())
  })

  test("a timer on its clock is the clock's: it can be cancelled, and says whether it keeps the process alive", () => {
    const fake = new FakeClock()
    const clock = new OwnContext().clock(fake)
    const fired: string[] = []
    clock.setTimer(5, () => fired.push('a')).cancel()
    clock.setTimer(10, () => fired.push('b'), false)
    expect(fake.pendingDelaysMs).toEqual([10])
    expect(fake.keepAliveCount).toBe(0)
    clock.setTimer(20, () => fired.push('c'))
    expect(fake.keepAliveCount).toBe(1)
    fake.advance(30)
    expect(fired).toEqual(['b', 'c'])
  })
})
