// Python with confluent-kafka from the package index, in a virtual environment under .cache/python. From: requirements.txt here.
// To: python-client.ts.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cachePath, makeOnce } from '../kafka/cache.ts'
import { type Found, runToEnd } from '../kafka/run.ts'

const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url))
const HOME = cachePath('python')
const INTERPRETER = join(HOME, 'bin', 'python')

let known: Found | undefined

/** Python 3.9 or later that can make virtual environments, or the reason why there is none. */
export function pythonAvailability(): Found {
  return (known ??= isInstalled() ? { found: true, command: INTERPRETER } : findPython())
}

function findPython(): Found {
  const probe = 'import sys, venv, ensurepip; sys.exit(0 if sys.version_info >= (3, 9) else 1)'
  const command = ['python3', '/usr/bin/python3'].find((name) => spawnSync(name, ['-c', probe]).status === 0)
  return command === undefined
    ? { found: false, reason: 'no Python 3.9 with venv is installed' }
    : { found: true, command }
}

/** The interpreter that has confluent-kafka. Brought once; concurrent callers, in other processes too, wait for the same. */
export async function pythonWithClient(): Promise<string> {
  await makeOnce(HOME, isInstalled, async () => {
    const python = pythonAvailability()
    if (!python.found) throw new Error(python.reason)
    rmSync(HOME, { recursive: true, force: true })
    await runToEnd(python.command, ['-m', 'venv', HOME], { what: 'python -m venv' })
    const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', REQUIREMENTS]
    await runToEnd(INTERPRETER, install, { what: 'pip install', timeoutMs: 300_000 })
    writeFileSync(join(HOME, 'installed.txt'), readFileSync(REQUIREMENTS))
  })
  return INTERPRETER
}

function isInstalled(): boolean {
  const made = join(HOME, 'installed.txt')
  return existsSync(made) && readFileSync(made, 'utf8') === readFileSync(REQUIREMENTS, 'utf8')
}
