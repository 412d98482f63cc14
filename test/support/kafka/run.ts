// Programs that the tests start, wait for and read: Maven, Kafka's tools, Python, Docker.

import { spawn } from 'node:child_process'

/** Whether something this machine may or may not have is there; the reason is one line without a full stop. */
export type Found =
  | { readonly found: true; readonly command: string }
  | { readonly found: false; readonly reason: string }

export interface CommandRun {
  readonly what: string
  readonly input?: string | Uint8Array
  readonly timeoutMs?: number
  readonly env?: NodeJS.ProcessEnv
}

/**
 * Runs a program to its end and gives its standard output.
 * Throws with the end of both outputs when it ends with anything but 0, or not within `timeoutMs` (60 s).
 */
export function runToEnd(command: string, args: readonly string[], run: CommandRun): Promise<string> {
  return new Promise((resolve, reject) => {
    const timeoutMs = run.timeoutMs ?? 60_000
    const child = spawn(command, args, {
      stdio: [run.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: run.env ?? process.env,
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout!.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr!.on('data', (chunk: Buffer) => err.push(chunk))
    child.on('error', (error) => reject(new Error(`${run.what}: ${error.message}`, { cause: error })))
    child.on('close', (code, signal) => {
      const output = Buffer.concat(out).toString('utf8')
      if (code === 0) return resolve(output)
      const ended = signal === null ? `ended with ${code}` : `was ended by ${signal} (limit ${timeoutMs} ms)`
      reject(
        new Error(`${run.what} ${ended}\n${output.slice(-4000)}\n${Buffer.concat(err).toString('utf8').slice(-4000)}`),
      )
    })
    // A program that ends without reading its input says why on its error output; that is what is reported.
    child.stdin?.on('error', (error) => err.push(Buffer.from(`standard input: ${error.message}\n`)))
    if (run.input !== undefined) child.stdin?.end(run.input)
  })
}
