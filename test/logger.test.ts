import { describe, expect, test, vi } from 'vitest'
import { consoleLog, type Log, rateLimited } from '../src/logger.ts'
import { FakeClock } from './support/fake-clock.ts'

function listening(): { log: Log; lines: string[] } {
  const lines: string[] = []
  const say = (level: string) => (fields: object, message: string) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
  return { lines, log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') } }
}

describe('rateLimited', () => {
  test('the first of its kind is said at once, repeats within ten seconds are counted and said once', () => {
    const clock = new FakeClock()
    const { log, lines } = listening()
    const limited = rateLimited(log, clock)
    for (let n = 0; n < 42; n++) limited.warn({ n }, 'no broker')
    expect(lines).toEqual(['warn no broker {"n":0}'])
    clock.advance(10_000)
    expect(lines.slice(1)).toEqual(['warn no broker (repeated 41 times in 10 s) {"n":41}'])
  })

  test('a storm that does not end costs one line every ten seconds', () => {
    const clock = new FakeClock()
    const { log, lines } = listening()
    const limited = rateLimited(log, clock)
    for (let second = 0; second < 30; second++) {
      limited.warn({}, 'no broker')
      clock.advance(1_000)
    }
    expect(lines).toEqual([
      'warn no broker {}',
      'warn no broker (repeated 9 times in 10 s) {}',
      'warn no broker (repeated 10 times in 10 s) {}',
      'warn no broker (repeated 10 times in 10 s) {}',
    ])
  })

  test('one that comes back after a quiet time is said at once again', () => {
    const clock = new FakeClock()
    const { log, lines } = listening()
    const limited = rateLimited(log, clock)
    limited.warn({}, 'no broker')
    clock.advance(10_000)
    limited.warn({}, 'no broker')
    expect(lines).toEqual(['warn no broker {}', 'warn no broker {}'])
  })

  test('other texts and other levels are not held up', () => {
    const { log, lines } = listening()
    const limited = rateLimited(log, new FakeClock())
    limited.warn({}, 'a')
    limited.error({}, 'a')
    limited.info({}, 'b')
    limited.debug({}, 'c')
    expect(lines).toEqual(['warn a {}', 'error a {}', 'info b {}', 'debug c {}'])
  })

  test('each text has a window of its own', () => {
    const clock = new FakeClock()
    const { log, lines } = listening()
    const limited = rateLimited(log, clock)
    limited.warn({}, 'a')
    clock.advance(6_000)
    limited.warn({}, 'b')
    limited.warn({}, 'a')
    limited.warn({}, 'b')
    lines.length = 0
    clock.advance(4_000)
    expect(lines).toEqual(['warn a (repeated once more in 10 s) {}'])
    clock.advance(6_000)
    expect(lines.slice(1)).toEqual(['warn b (repeated once more in 10 s) {}'])
  })

  test('its one timer keeps no process alive, and there is none when nothing was said', () => {
    const clock = new FakeClock()
    const limited = rateLimited(listening().log, clock)
    expect(clock.pendingDelaysMs).toEqual([])
    limited.warn({}, 'a')
    limited.warn({}, 'b')
    expect(clock.pendingDelaysMs).toEqual([10_000])
    expect(clock.keepAliveCount).toBe(0)
    clock.advance(10_000)
    expect(clock.pendingDelaysMs).toEqual([])
  })

  test('at most 200 texts are remembered: the oldest is said, with its count, and forgotten', () => {
    const { log, lines } = listening()
    const limited = rateLimited(log, new FakeClock())
    limited.warn({}, 'text 0')
    limited.warn({}, 'text 0')
    for (let n = 1; n <= 199; n++) limited.warn({}, `text ${n}`)
    expect(lines).toHaveLength(200)
    limited.warn({}, 'text 200')
    expect(lines.slice(200)).toEqual(['warn text 200 {}', 'warn text 0 (repeated once more in 10 s) {}'])
  })

  test('close says what is counted and leaves no timer; what comes later is passed on', () => {
    const clock = new FakeClock()
    const { log, lines } = listening()
    const limited = rateLimited(log, clock)
    limited.warn({}, 'a')
    limited.warn({}, 'a')
    limited.close()
    expect(clock.pendingDelaysMs).toEqual([])
    expect(lines).toEqual(['warn a {}', 'warn a (repeated once more in 10 s) {}'])
    limited.warn({}, 'a')
    expect(lines).toHaveLength(3)
    expect(clock.pendingDelaysMs).toEqual([])
  })
})

describe('a logger that fails', () => {
  test('throws: nothing comes of it but one line on the console', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    try {
      const broken = (): never => {
        throw new Error('disk full')
      }
      const limited = rateLimited({ debug: broken, info: broken, warn: broken, error: broken }, new FakeClock())
      limited.warn({}, 'a')
      limited.error({}, 'b')
      expect(warn).toHaveBeenCalledTimes(1)
      expect(warn.mock.calls[0]?.[0]).toBe('kafka-wire: the logger itself failed; this is said once')
    } finally {
      warn.mockRestore()
    }
  })

  test('answers a promise that rejects: no unhandled rejection', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    try {
      const broken = async (): Promise<never> => Promise.reject(new Error('disk full'))
      const limited = rateLimited({ debug: broken, info: broken, warn: broken, error: broken }, new FakeClock())
      limited.warn({}, 'a')
      await new Promise((resolve) => setImmediate(resolve))
      expect(warn).toHaveBeenCalledTimes(1)
    } finally {
      warn.mockRestore()
    }
  })
})

describe('consoleLog', () => {
  test('warnings and errors go to console.warn, the rest nowhere', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    try {
      consoleLog.debug({}, 'd')
      consoleLog.info({}, 'i')
      consoleLog.warn({ broker: 'b' }, 'w')
      consoleLog.error({}, 'e')
      expect(warn.mock.calls).toEqual([
        ['kafka-wire: w', { broker: 'b' }],
        ['kafka-wire: e', {}],
      ])
    } finally {
      warn.mockRestore()
    }
  })
})
