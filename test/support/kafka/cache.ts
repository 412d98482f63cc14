// The repository's git-ignored .cache folder, shared by every test process: what is made there is made by one of them, once.

import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from './wait.ts'

const CACHE_DIR = fileURLToPath(new URL('../../../.cache', import.meta.url))

export function cachePath(...names: readonly string[]): string {
  return join(CACHE_DIR, ...names)
}

// Between making the lock's folder and writing the owner into it lie microseconds; a lock without owner this old was left behind.
const OWNERLESS_LOCK_MS = 10_000

/**
 * Makes `path` unless `isMade()`; processes that ask at the same time wait for the one that makes it (10 minutes at most).
 * The lock is a folder beside it, since making a folder either succeeds or finds it there, also over a network's file system.
 */
export async function makeOnce(path: string, isMade: () => boolean, make: () => Promise<void>): Promise<void> {
  if (isMade()) return
  const lock = `${path}.lock`
  mkdirSync(dirname(path), { recursive: true })
  const turn = await until(
    `waiting for another process to make ${path}`,
    { timeoutMs: 600_000, intervalMs: 100 },
    () => {
      if (isMade()) return 'made'
      return takeLock(lock) ? 'ours' : undefined
    },
  )
  if (turn === 'made') return
  try {
    if (!isMade()) await make()
  } finally {
    rmSync(lock, { recursive: true, force: true })
  }
}

function takeLock(lock: string): boolean {
  try {
    mkdirSync(lock)
    writeFileSync(join(lock, 'pid'), String(process.pid))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    removeAbandoned(lock)
    return false
  }
}

// Its owner is dead. Two waiters may find that at once: the lock is moved away first, which only one of them can do, and it is looked
// at again, because the other one may already have replaced it by its own.
function removeAbandoned(lock: string): void {
  const owner = ownerOf(lock)
  if (owner === undefined ? ageMs(lock) < OWNERLESS_LOCK_MS : isAlive(owner)) return
  const away = `${lock}.${process.pid}`
  try {
    renameSync(lock, away)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if (ownerOf(away) === owner) rmSync(away, { recursive: true, force: true })
  else renameSync(away, lock)
}

function ownerOf(lock: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(lock, 'pid'), 'utf8'))
    return pid > 0 ? pid : undefined
  } catch {
    return undefined // no lock, or its owner is just writing this file
  }
}

function ageMs(path: string): number {
  try {
    return Date.now() - statSync(path).mtimeMs
  } catch {
    return 0 // gone meanwhile
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
