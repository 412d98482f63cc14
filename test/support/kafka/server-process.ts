// One JVM that serves: a broker or a ZooKeeper. It is started, seen to be ready, stopped, killed, paused, resumed, and started again
// over the same data. From: jar-cluster.ts. It knows nothing of Kafka but how a start is recognised.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { disownProcess, killNow, ownProcess } from './belongings.ts'
import { GiveUp, until } from './wait.ts'

export interface ServerOptions {
  /** "broker 1 (Kafka 4.4)": for messages. */
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  /** Gets standard output and error of every run, one after the other. */
  readonly logFile: string
  readonly host: string
  readonly port: number
  /** The log line that says it is ready; without one, a connection says it. */
  readonly startedLine?: RegExp
  readonly startTimeoutMs: number
}

type ServerState = { kind: 'down' } | { kind: 'running'; run: Run } | { kind: 'paused'; run: Run }

interface Run {
  readonly pid: number
  readonly child: ChildProcess
  readonly ended: Promise<string>
  endedWith: string | undefined
}

/** A start that failed because another program listens on the port. */
export class PortTaken extends Error {}

// A broker that has to be asked to stop hands its leaderships over first; one that cannot reach a controller keeps trying.
const STOP_TIMEOUT_MS = 30_000

export class ServerProcess {
  readonly #options: ServerOptions
  #state: ServerState = { kind: 'down' }

  constructor(options: ServerOptions) {
    this.#options = options
  }

  get isDown(): boolean {
    return this.#state.kind === 'down'
  }

  get isRunning(): boolean {
    return this.#state.kind === 'running'
  }

  /** Resolves when it is ready to serve. Throws with the end of its log when it is not. */
  async start(): Promise<void> {
    if (this.#state.kind !== 'down') throw new Error(`${this.#options.name} is ${this.#state.kind} already`)
    const logStart = sizeOf(this.#options.logFile)
    const run = this.#spawn()
    this.#state = { kind: 'running', run }
    try {
      await this.#ready(run, logStart)
    } catch (error) {
      await this.kill()
      const log = readFrom(this.#options.logFile, logStart)
      const message = `${this.#options.name} did not start\n${lastLines(log, 30)}`
      throw /BindException|Address already in use/.test(log)
        ? new PortTaken(message, { cause: error })
        : new Error(message, { cause: error })
    }
  }

  /** SIGKILL. Resolves when it is gone; fine when it is gone already. */
  async kill(): Promise<void> {
    if (this.#state.kind === 'down') return
    const { run } = this.#state
    run.child.ref() // somebody waits for its end now
    killNow(run.pid)
    await run.ended
  }

  /** SIGTERM: a clean end. After 30 s it is killed, and that is an error. */
  async stop(): Promise<void> {
    if (this.#state.kind === 'down') return
    if (this.#state.kind === 'paused') this.resume()
    const { run } = this.#state
    run.child.ref()
    process.kill(run.pid, 'SIGTERM')
    const late = AbortSignal.timeout(STOP_TIMEOUT_MS)
    const isLate = new Promise<'late'>((resolve) =>
      late.addEventListener('abort', () => resolve('late'), { once: true }),
    )
    if ((await Promise.race([run.ended, isLate])) !== 'late') return
    await this.kill()
    throw new Error(`${this.#options.name} did not stop within ${STOP_TIMEOUT_MS} ms of SIGTERM`)
  }

  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void {
    const run = this.#runOf('running')
    process.kill(run.pid, 'SIGSTOP')
    this.#state = { kind: 'paused', run }
  }

  resume(): void {
    const run = this.#runOf('paused')
    process.kill(run.pid, 'SIGCONT')
    this.#state = { kind: 'running', run }
  }

  #runOf(kind: 'running' | 'paused'): Run {
    if (this.#state.kind !== kind) throw new Error(`${this.#options.name} is ${this.#state.kind}, not ${kind}`)
    return this.#state.run
  }

  #spawn(): Run {
    // A file and no pipe: a test that keeps the event loop busy must not hold up the broker's log.
    const log = openSync(this.#options.logFile, 'a')
    try {
      const child = spawn(this.#options.command, this.#options.args, {
        stdio: ['ignore', log, log],
        detached: true, // Ctrl-C is for the tests; the brokers go with them (belongings.ts)
      })
      child.unref()
      const run: Run = { pid: child.pid ?? 0, child, ended: this.#ended(child), endedWith: undefined }
      if (run.pid > 0) ownProcess(run.pid)
      void run.ended.then((how) => {
        run.endedWith = how
      })
      return run
    } finally {
      closeSync(log)
    }
  }

  #ended(child: ChildProcess): Promise<string> {
    return new Promise((resolve) => {
      const end = (how: string) => {
        if (child.pid !== undefined) disownProcess(child.pid)
        this.#state = { kind: 'down' }
        resolve(how)
      }
      child.once('error', (error) => end(error.message))
      child.once('exit', (code, signal) => end(signal ?? `exit code ${code}`))
    })
  }

  async #ready(run: Run, logStart: number): Promise<void> {
    const { name, startedLine, host, port, startTimeoutMs, logFile } = this.#options
    const deadline = { timeoutMs: startTimeoutMs }
    const alive = () => {
      if (run.endedWith !== undefined) throw new GiveUp(`${name} ended: ${run.endedWith}`)
    }
    if (startedLine !== undefined) {
      await until(`${name}: its log says "started"`, deadline, () => {
        alive()
        return startedLine.test(readFrom(logFile, logStart)) || undefined
      })
    }
    await until(`${name}: ${host}:${port} takes connections`, deadline, () => {
      alive()
      return takesConnections(host, port)
    })
  }
}

function takesConnections(host: string, port: number): Promise<true> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', reject)
  })
}

function sizeOf(file: string): number {
  return existsSync(file) ? statSync(file).size : 0
}

function readFrom(file: string, start: number): string {
  const bytes = Buffer.alloc(Math.max(0, sizeOf(file) - start))
  const descriptor = openSync(file, 'r')
  try {
    return bytes.toString('utf8', 0, readSync(descriptor, bytes, 0, bytes.length, start))
  } finally {
    closeSync(descriptor)
  }
}

function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n')
}
