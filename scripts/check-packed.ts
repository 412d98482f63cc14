// Packs the project as it would be published, installs the tarball into an empty project, and runs smoke-packed.mjs there under every
// supported Node release: imported, required, and bundled by esbuild in both formats, against a real Kafka where there is one.
// From: .ci/run, after the build. Prints a line a run, and the counts; these also into the file that is named as its argument.

import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { arch, platform } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { kafkaAvailability } from '../test/support/kafka/availability.ts'
import { cachePath } from '../test/support/kafka/cache.ts'
import type { KafkaCluster } from '../test/support/kafka/cluster.ts'
import { runToEnd } from '../test/support/kafka/run.ts'
import { startKafka } from '../test/support/kafka/start-kafka.ts'

const NODE_RELEASES = [20, 22, 24, 26] as const
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const APP = cachePath('packed')
const REPORT = process.argv[2]

type Outcome = { kind: 'passed' } | { kind: 'failed'; reason: string } | { kind: 'skipped'; reason: string }

const { kafka, environment } = await startBroker()
try {
  await installTarball()
  const forms = [['esm'], ['cjs'], ...(await bundles()).map((file) => ['bundle', file])]
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const release of NODE_RELEASES) {
    for (const form of forms) {
      const outcome = await smoke(release, form, environment)
      counts[outcome.kind]++
      if (outcome.kind !== 'passed')
        console.log(`Node ${release} ${form.join(' ')}: ${outcome.kind}, ${outcome.reason}`)
    }
  }
  console.log(`packed: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
  if (REPORT !== undefined) writeFileSync(REPORT, JSON.stringify(counts))
  if (counts.failed > 0 || counts.passed === 0) process.exitCode = 1
} finally {
  await kafka?.stopAll()
}

async function startBroker(): Promise<{ kafka: KafkaCluster | undefined; environment: NodeJS.ProcessEnv }> {
  const available = kafkaAvailability(['4.4'])
  if (available.kind === 'none') {
    console.log(`the packed package is tried without a Kafka: ${available.reason}`)
    return { kafka: undefined, environment: process.env }
  }
  const cluster = await startKafka()
  const topic = await cluster.newTopic(3)
  const more = { KAFKA_BOOTSTRAP_SERVERS: cluster.bootstrapServers, KAFKA_TOPIC: topic }
  return { kafka: cluster, environment: { ...process.env, ...more } }
}

async function installTarball(): Promise<void> {
  rmSync(APP, { recursive: true, force: true })
  mkdirSync(APP, { recursive: true })
  await runToEnd('npm', ['pack', '--silent', '--pack-destination', APP, ROOT], { what: 'npm pack' })
  const [tarball] = readdirSync(APP).filter((name) => name.endsWith('.tgz'))
  if (tarball === undefined) throw new Error('npm pack made no tarball')
  writeFileSync(join(APP, 'package.json'), '{ "private": true }\n')
  await npmInstall(APP, join(APP, tarball))
  copyFileSync(join(ROOT, 'scripts', 'smoke-packed.mjs'), join(APP, 'smoke-packed.mjs'))
}

async function bundles(): Promise<string[]> {
  const formats = [
    { format: 'esm', file: 'bundle.mjs' },
    { format: 'cjs', file: 'bundle.cjs' },
  ] as const
  for (const { format, file } of formats) {
    await build({
      stdin: { contents: "export * from 'kafka-wire'", resolveDir: APP },
      outfile: join(APP, file),
      bundle: true,
      minify: true,
      platform: 'node',
      target: 'node20.19',
      format,
      logLevel: 'error',
    })
  }
  return formats.map(({ file }) => file)
}

async function smoke(release: number, form: readonly string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  const node = await nodeBinary(release)
  if (node === undefined) return { kind: 'skipped', reason: `no Node ${release} for ${platform()} ${arch()}` }
  try {
    const what = `smoke-packed.mjs ${form.join(' ')}`
    const args = [join(APP, 'smoke-packed.mjs'), form[0]!, ...form.slice(1).map((file) => join(APP, file))]
    process.stdout.write(await runToEnd(node, args, { what, timeoutMs: 60_000, env }))
    return { kind: 'passed' }
  } catch (error) {
    return { kind: 'failed', reason: String(error) }
  }
}

/** A Node release as npm has it, in .cache/node; undefined where npm has none for this machine. */
async function nodeBinary(release: number): Promise<string | undefined> {
  if (platform() !== 'linux' || !['x64', 'arm64'].includes(arch())) return undefined
  const name = `node-linux-${arch()}`
  const folder = cachePath('node', String(release))
  const binary = join(folder, 'node_modules', name, 'bin', 'node')
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
    await npmInstall(folder, `${name}@${release}`)
  }
  return binary
}

async function npmInstall(folder: string, what: string): Promise<void> {
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']
  await runToEnd('npm', ['install', '--prefix', folder, ...quiet, what], {
    what: `npm install ${what}`,
    timeoutMs: 180_000,
  })
}
