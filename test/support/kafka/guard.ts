// A process of its own, started by belongings.ts: it hears on standard input which processes, folders and containers its parent owns,
// and ends and removes what is left when that input closes. Run with plain Node: it imports nothing of the project.

import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

const pids = new Set<number>()
const folders = new Set<string>()
const containers = new Set<string>()

for await (const line of createInterface({ input: process.stdin })) {
  const space = line.indexOf(' ')
  const name = line.slice(space + 1)
  switch (line.slice(0, space)) {
    case '+pid':
      pids.add(Number(name))
      break
    case '-pid':
      pids.delete(Number(name))
      break
    case '+folder':
      folders.add(name)
      break
    case '-folder':
      folders.delete(name)
      break
    case '+container':
      containers.add(name)
      break
    case '-container':
      containers.delete(name)
      break
  }
}

for (let attempt = 0; attempt < 100 && [...pids].some(killed); attempt++) await sleep(20)
for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
if (containers.size > 0) spawnSync('docker', ['rm', '--force', '--volumes', ...containers], { stdio: 'ignore' })

/** Sends SIGKILL; true while there is a process that can still do something. */
function killed(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL')
    return !isZombie(pid)
  } catch {
    pids.delete(pid)
    return false
  }
}

/** Dead, but its new parent does not ask for it: so with a first process of a container that is no init. */
function isZombie(pid: number): boolean {
  try {
    return /^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false // gone meanwhile, or no Linux
  }
}
