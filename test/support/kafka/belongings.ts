// What this process has started and must not leave behind: processes, folders and containers.
// However it ends, they go: on a normal exit here, synchronously; when it is killed, through the guard (guard.ts), a small process
// that knows the same list and acts when its standard input closes, which the system does for a process that dies of anything.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const pids = new Set<number>()
const folders = new Set<string>()
const containers = new Set<string>()
let guard: ChildProcess | undefined

export function ownProcess(pid: number): void {
  pids.add(pid)
  tellGuard(`+pid ${pid}`)
}

export function disownProcess(pid: number): void {
  pids.delete(pid)
  tellGuard(`-pid ${pid}`)
}

export function ownFolder(folder: string): void {
  folders.add(folder)
  tellGuard(`+folder ${folder}`)
}

export function ownContainer(id: string): void {
  containers.add(id)
  tellGuard(`+container ${id}`)
}

export function disownContainer(id: string): void {
  containers.delete(id)
  tellGuard(`-container ${id}`)
}

/** Removes the folder, too. */
export function removeFolder(folder: string): void {
  removeWithPatience(folder)
  folders.delete(folder)
  tellGuard(`-folder ${folder}`)
}

function tellGuard(line: string): void {
  if (guard === undefined) {
    guard = spawn(process.execPath, [fileURLToPath(new URL('guard.ts', import.meta.url))], {
      stdio: ['pipe', 'ignore', 'ignore'],
      // A group of its own: Ctrl-C reaches this process but not the guard.
      detached: true,
    })
    guard.unref()
    const input = guard.stdin!
    if ('unref' in input && typeof input.unref === 'function') input.unref()
    // Without a guard the exit handler below still cleans up; only a SIGKILL of this process would leave something.
    guard.on('error', (error) => console.warn(`the guard of the test brokers did not start: ${error.message}`))
    input.on('error', (error) => console.warn(`the guard of the test brokers is gone: ${error.message}`))
    process.on('exit', removeAll)
  }
  guard.stdin!.write(`${line}\n`)
}

function removeAll(): void {
  for (const pid of pids) killNow(pid)
  for (const folder of folders) removeWithPatience(folder)
  if (containers.size > 0) spawnSync('docker', ['rm', '--force', '--volumes', ...containers], { stdio: 'ignore' })
}

/** SIGKILL; a process that is gone already is what was wanted. */
export function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

// A broker that was just killed may still be writing its last file while the folder is being removed: hence the retries.
function removeWithPatience(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
}
