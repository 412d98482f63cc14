// Kafka's own codec as a judge: one Java process that answers questions (CodecOracle.java, where they are listed), over the jars that
// Maven brings once into .cache/oracle. From: test/oracle, extract.ts.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type Long from 'long'
import { cachePath, makeOnce } from '../kafka/cache.ts'
import { findJava, findMaven, javaCommand } from '../kafka/java.ts'
import { fromKafkaJson, toKafkaJson } from './kafka-json.ts'

const POM = fileURLToPath(new URL('pom.xml', import.meta.url))
const PROGRAM = fileURLToPath(new URL('CodecOracle.java', import.meta.url))

/** A record in a question or an answer: bytes are hex. */
export interface OracleRecord {
  readonly timestamp: Long | number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly { readonly key: string; readonly value: string | null }[]
}

export interface BatchQuestion {
  readonly ask: 'batch'
  readonly codec: string
  readonly baseOffset: number
  readonly partitionLeaderEpoch: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly isTransactional: boolean
  readonly logAppendTimeMs: number | null
  readonly records: readonly OracleRecord[]
}

/** `fields`: the version whose fields `message` has. Kafka drops or refuses what `version` lacks. */
export interface EncodeQuestion {
  readonly ask: 'encode'
  readonly type: string
  readonly version: number
  readonly fields: number
  readonly message: unknown
}

export type Question =
  | EncodeQuestion
  | { readonly ask: 'decode'; readonly type: string; readonly version: number; readonly hex: string }
  | BatchQuestion
  | {
      readonly ask: 'marker'
      readonly type: 'ABORT' | 'COMMIT'
      readonly producerId: number
      readonly producerEpoch: number
    }
  | { readonly ask: 'batches'; readonly hex: string }
  | { readonly ask: 'murmur2'; readonly keys: readonly string[] }
  | { readonly ask: 'errors' }

/** What Kafka read of a batch. */
export interface OracleBatch {
  readonly isValid: boolean
  readonly crc: number
  readonly codec: string
  readonly timestampType: string
  readonly baseOffset: Long
  readonly lastOffset: Long
  readonly maxTimestamp: Long
  readonly partitionLeaderEpoch: number
  readonly producerId: Long
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly sizeInBytes: number
  readonly records: readonly (OracleRecord & { readonly offset: Long })[]
}

/** The one field that belongs to the question; or `refused`, the simple name of Kafka's exception. */
export interface Answer {
  readonly refused?: string
  readonly because?: string
  readonly hex?: string
  readonly message?: unknown
  readonly batches?: readonly OracleBatch[]
  readonly hashes?: readonly number[]
  readonly errors?: readonly { code: number; name: string; retriable: boolean; refreshMetadata: boolean }[]
}

/** Why nothing can be asked here, in a few words; undefined when it can. */
export function oracleAbsence(): string | undefined {
  const java = findJava()
  if (!java.found) return java.reason
  if (areJarsThere()) return undefined
  const maven = findMaven()
  return maven.found ? undefined : maven.reason
}

/** One Java process. Answers come in the order of the questions; when it ends early, every open question fails with what it said. */
export class Oracle {
  readonly #java: ChildProcess
  readonly #waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = []
  readonly #ended: Promise<void>
  #complaints = ''
  #unended = ''

  static async start(): Promise<Oracle> {
    const jars = await bringJars()
    const options = ['-Xmx512m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto']
    return new Oracle(spawn(javaCommand(), [...options, '-cp', join(jars, '*'), PROGRAM], { stdio: 'pipe' }))
  }

  private constructor(java: ChildProcess) {
    this.#java = java
    java.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints += text
    })
    java.stdout!.setEncoding('utf8').on('data', (text: string) => this.#hear(text))
    this.#ended = new Promise((resolve) => {
      java.on('error', (error) => {
        this.#complaints += error.message
        resolve()
      })
      java.on('close', () => resolve())
    })
    // Its standard error says why; the broken pipe alone would not.
    java.stdin!.on('error', (error) => {
      this.#complaints += `\n${error.message}`
    })
    this.#ended.then(
      () => this.#failAll(),
      () => this.#failAll(),
    )
  }

  async ask(question: Question): Promise<Answer> {
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      if (this.#java.exitCode !== null) this.#failAll()
      else this.#java.stdin!.write(`${toKafkaJson(question)}\n`)
    })
  }

  async askAll(questions: readonly Question[]): Promise<Answer[]> {
    return await Promise.all(questions.map((question) => this.ask(question)))
  }

  async close(): Promise<void> {
    this.#java.stdin!.end()
    await this.#ended
  }

  // Not node:readline, for which U+2028 ends a line too: a name may hold it.
  #hear(text: string): void {
    const lines = (this.#unended + text).split('\n')
    this.#unended = lines.pop()!
    for (const line of lines) {
      const { resolve, reject } = this.#waiting.shift()!
      try {
        resolve(fromKafkaJson(line) as Answer)
      } catch (error) {
        reject(new Error(`not an answer: ${line}`, { cause: error }))
      }
    }
  }

  #failAll(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error(`The Java process ended: ${this.#complaints}`))
  }
}

const HOME = cachePath('oracle')
const JARS = join(HOME, 'jars')
const MADE_FROM = join(HOME, 'pom.xml')

const areJarsThere = (): boolean =>
  existsSync(MADE_FROM) && readFileSync(MADE_FROM, 'utf8') === readFileSync(POM, 'utf8')

async function bringJars(): Promise<string> {
  await makeOnce(HOME, areJarsThere, async () => {
    const making = `${HOME}.making`
    rmSync(making, { recursive: true, force: true })
    mkdirSync(making, { recursive: true })
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${join(making, 'jars')}`]
    // -U: Maven remembers for a day that something could not be brought. What it prints when it fails is in the error.
    await promisify(execFile)('mvn', ['-B', '-q', '-U', '-f', POM, ...goal], { timeout: 300_000 })
    writeFileSync(join(making, 'pom.xml'), readFileSync(POM))
    rmSync(HOME, { recursive: true, force: true })
    renameSync(making, HOME)
  })
  return JARS
}
