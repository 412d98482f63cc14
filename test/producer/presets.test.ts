// The presets are options that pass every check, and say what their names promise.
import { describe, expect, test } from 'vitest'
import { optionNames } from '../../src/producer/option-table.ts'
import { resolveOptions } from '../../src/producer/options.ts'
import { presets } from '../../src/producer/presets.ts'

const bootstrapServers = 'localhost:9092'

describe('presets', () => {
  test.each(Object.entries(presets))('%s alone makes complete options, with nothing to say about them', (_, preset) => {
    expect(resolveOptions({ bootstrapServers, ...preset }).notes).toEqual([])
  })

  test('neverLose waits for all in-sync replicas, is idempotent and refuses rather than drops', () => {
    expect(resolveOptions({ bootstrapServers, ...presets.neverLose })).toMatchObject({
      acks: -1,
      enableIdempotence: true,
      retries: 2_147_483_647,
      overflow: 'reject',
    })
  })

  test('neverLose lingers no more than a small part of its half second, and holds a second of a million 100-byte records', () => {
    const { lingerMs, bufferMemory } = resolveOptions({ bootstrapServers, ...presets.neverLose })
    expect(lingerMs).toBeLessThanOrEqual(50)
    expect(bufferMemory).toBeGreaterThanOrEqual(100 * 1_000_000)
  })

  test('neverBlock drops the oldest, keeps no line and never switches idempotence on', () => {
    expect(resolveOptions({ bootstrapServers, ...presets.neverBlock })).toMatchObject({
      overflow: 'drop-oldest',
      maxWaitingSends: 0,
      enableIdempotence: false,
    })
  })

  test("neverBlock still gives an unknown topic's metadata its time: its first records must not fail for nothing", () => {
    expect(resolveOptions({ bootstrapServers, ...presets.neverBlock }).maxBlockMs).toBeGreaterThanOrEqual(1_000)
  })

  test('what is spread behind a preset wins', () => {
    expect(resolveOptions({ bootstrapServers, ...presets.neverLose, lingerMs: 1 }).lingerMs).toBe(1)
  })

  test('presets hold only options, and cannot be changed', () => {
    for (const preset of Object.values(presets)) {
      expect(optionNames).toEqual(expect.arrayContaining(Object.keys(preset)))
      expect(Object.isFrozen(preset)).toBe(true)
    }
    expect(Object.isFrozen(presets)).toBe(true)
  })
})
