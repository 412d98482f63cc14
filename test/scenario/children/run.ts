// Runs one of the scripts beside it in a Node of its own: for what only a whole process can show, such as that it ends.
// From: tests. The script gets its arguments as process.argv.slice(2).
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Ended {
  /** `null`: it did not end by itself and was killed. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Longer than a start of Node on a busy machine, shorter than the test's own limit. */
const KILL_AFTER_MS = 20_000

export async function runChild(script: string, args: readonly string[]): Promise<Ended> {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const child = spawn(process.execPath, ['--no-warnings', path, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const killer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  clearTimeout(killer)
  return { code, stdout, stderr }
}
