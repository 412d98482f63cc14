import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeOnce } from './cache.ts'

describe('what is made once', () => {
  let folder: string
  let path: string
  let made: number
  const isMade = () => existsSync(path)
  const make = async () => {
    made++
    await new Promise(setImmediate)
    writeFileSync(path, '')
  }

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kafka-wire-cache-'))
    path = join(folder, 'thing')
    made = 0
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  test('is made by one of several callers, and the others find it', async () => {
    await Promise.all([1, 2, 3].map(() => makeOnce(path, isMade, make)))
    await makeOnce(path, isMade, make)
    expect(made).toBe(1)
    expect(existsSync(`${path}.lock`)).toBe(false)
  })

  test('is made by the next caller when the first one fails', async () => {
    const fail = async () => {
      throw new Error('no network')
    }
    const [first, second] = await Promise.allSettled([makeOnce(path, isMade, fail), makeOnce(path, isMade, make)])
    expect(first).toMatchObject({ status: 'rejected', reason: new Error('no network') })
    expect(second.status).toBe('fulfilled')
    expect(made).toBe(1)
  })

  test('is made although a process died while making it', async () => {
    const dead = spawnSync(process.execPath, ['--version']).pid
    mkdirSync(`${path}.lock`)
    writeFileSync(join(`${path}.lock`, 'pid'), String(dead))
    await makeOnce(path, isMade, make)
    expect(made).toBe(1)
  })

  test('is made although a process died between taking the lock and signing it', async () => {
    mkdirSync(`${path}.lock`)
    const longAgo = new Date(Date.now() - 60_000)
    utimesSync(`${path}.lock`, longAgo, longAgo)
    await makeOnce(path, isMade, make)
    expect(made).toBe(1)
  })
})
