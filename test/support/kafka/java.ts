// Java and Maven as they stand on this machine, and running one of Kafka's command-line tools. From: the machine. To: installation.ts,
// server-process.ts, the clients in ../clients.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Found, runToEnd } from './run.ts'
import { KAFKA_RELEASES, type KafkaVersion } from './versions.ts'

const OLDEST_JAVA = 17 // brokers 4.x ask for it

/** Java 17 or later: that of JAVA_HOME, else the one on the PATH. */
export const findJava = once((): Found & { readonly version?: string } => {
  const home = process.env['JAVA_HOME']
  const candidates = home === undefined || home === '' ? ['java'] : [`${home}/bin/java`, 'java']
  let reason = 'no Java is installed'
  for (const command of candidates) {
    const run = spawnSync(command, ['-version'], { encoding: 'utf8' })
    const version = run.status === 0 ? /version "([\w.+-]+)/.exec(run.stderr)?.[1] : undefined
    if (version === undefined) continue
    if (Number.parseInt(version, 10) >= OLDEST_JAVA) return { found: true, command, version }
    reason = `Java ${version} is installed, brokers need ${OLDEST_JAVA} or later`
  }
  return { found: false, reason }
})

export const findMaven = once((): Found => {
  const run = spawnSync('mvn', ['-version'], { encoding: 'utf8' })
  return run.status === 0 ? { found: true, command: 'mvn' } : { found: false, reason: 'no Maven is installed' }
})

function once<T>(find: () => T): () => T {
  let known: T | undefined
  return () => (known ??= find())
}

export function javaCommand(): string {
  const java = findJava()
  if (!java.found) throw new Error(java.reason)
  return java.command
}

/** The full version of that Java, as in 17.0.15. */
export function javaVersion(): string {
  return findJava().version ?? 'unknown'
}

/** The option that points a JVM of this version to one of the quiet configurations in log4j/. */
export function loggingOption(version: KafkaVersion, who: 'server' | 'tool'): string {
  return KAFKA_RELEASES[version].logging === 'log4j2'
    ? `-Dlog4j2.configurationFile=${fileURLToPath(new URL(`log4j/${who}.log4j2.xml`, import.meta.url))}`
    : `-Dlog4j.configuration=${new URL(`log4j/${who}.log4j.properties`, import.meta.url).href}`
}

// For programs that live for a second: the cheapest compiler and collector start fastest.
const SHORT_LIVED = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto']

export interface JavaRun {
  readonly mainClass: string
  readonly args: readonly string[]
  readonly input?: string | Uint8Array
  readonly timeoutMs?: number
}

/**
 * Runs a class from a folder of jars to its end and gives its standard output.
 * Throws with both outputs when it ends with anything but 0, or not within `timeoutMs` (60 s).
 */
export function runJava(version: KafkaVersion, jarsDir: string, run: JavaRun): Promise<string> {
  const args = [...SHORT_LIVED, loggingOption(version, 'tool'), '-cp', `${jarsDir}/*`, run.mainClass, ...run.args]
  return runToEnd(javaCommand(), args, { what: run.mainClass, ...run })
}
