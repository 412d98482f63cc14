// The image that a Kafka container is started from: the official one, or where it can neither be found nor pulled, one that
// image/build.sh makes with the same entry points. To: docker-cluster.ts, test/containers.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cachePath, makeOnce } from './cache.ts'
import { installKafka } from './installation.ts'
import { type Found, runToEnd } from './run.ts'
import { KAFKA_RELEASES, type KafkaVersion } from './versions.ts'

/** Two layouts: Apache's own image, and Confluent's, which is the one that @testcontainers/kafka knows. */
export type ImageFamily = 'apache' | 'confluent'

// The release whose image the project can build: it needs broker and tools of one release, from 4.0 on.
const BUILDABLE: KafkaVersion = '4.3'
const PULL_TIMEOUT_MS = 300_000
const IMAGE_FOLDER = fileURLToPath(new URL('image', import.meta.url))

let knownEngine: Found | undefined

/** Whether a Docker engine answers. */
export function dockerAvailability(): Found {
  knownEngine ??=
    spawnSync('docker', ['info'], { stdio: 'ignore', timeout: 10_000 }).status === 0
      ? { found: true, command: 'docker' }
      : { found: false, reason: 'no Docker engine answers (scripts/docker-engine.sh start brings one on Debian)' }
  return knownEngine
}

/** Names an image that this machine has, bringing or building it first. */
export async function kafkaImage(version: KafkaVersion, family: ImageFamily = 'apache'): Promise<string> {
  const official = officialImage(version, family)
  if (official !== undefined && (hasImage(official) || (await canPull(official)))) return official
  if (version !== BUILDABLE)
    throw new Error(`no image of Kafka ${version}: ${official ?? 'there is none'} cannot be pulled`)
  keepTestcontainersLocal()
  return await builtImage(family)
}

function officialImage(version: KafkaVersion, family: ImageFamily): string | undefined {
  const { image, release } = KAFKA_RELEASES[version]
  if (family === 'apache') return image
  return release.startsWith('4.') ? `confluentinc/cp-kafka:${confluentRelease(release)}` : undefined
}

/** Confluent Platform 8.x carries Kafka 4.x. */
function confluentRelease(release: string): string {
  return release.replace(/^4/, '8')
}

function hasImage(name: string): boolean {
  return spawnSync('docker', ['image', 'inspect', name], { stdio: 'ignore' }).status === 0
}

const cannotPull = new Set<string>()

async function canPull(name: string): Promise<boolean> {
  if (cannotPull.has(name)) return false
  try {
    await runToEnd('docker', ['pull', '--quiet', name], { what: `docker pull ${name}`, timeoutMs: PULL_TIMEOUT_MS })
    return true
  } catch (error) {
    cannotPull.add(name)
    console.log(`${name} cannot be pulled (${lastLine(error)})`)
    return false
  }
}

function lastLine(error: unknown): string {
  return String(error).trimEnd().split('\n').at(-1)!
}

async function builtImage(family: ImageFamily): Promise<string> {
  const { release } = KAFKA_RELEASES[BUILDABLE]
  const names = { apache: `kafka-wire/kafka:${release}`, confluent: `kafka-wire/cp-kafka:${confluentRelease(release)}` }
  const recipe = recipeOf(IMAGE_FOLDER)
  const isBuilt = () => recipeIn(names.apache) === recipe && recipeIn(names.confluent) === recipe
  await makeOnce(cachePath('docker-image'), isBuilt, async () => {
    const { jarsDir } = await installKafka(BUILDABLE)
    await runToEnd(join(IMAGE_FOLDER, 'build.sh'), [jarsDir, recipe, names.apache, names.confluent], {
      what: 'image/build.sh',
      timeoutMs: 300_000,
    })
  })
  return names[family]
}

/** A hash of everything in the folder: an image of another recipe is built anew. */
function recipeOf(folder: string): string {
  const hash = createHash('sha256')
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  for (const path of files.map((entry) => join(entry.parentPath, entry.name)).sort()) {
    hash.update(relative(folder, path)).update(readFileSync(path))
  }
  return hash.digest('hex').slice(0, 16)
}

/** The recipe that an image was built from; empty for an image that is not there. */
function recipeIn(image: string): string {
  const format = '{{ index .Config.Labels "kafka-wire.recipe" }}'
  return spawnSync('docker', ['image', 'inspect', '--format', format, image], { encoding: 'utf8' }).stdout.trim()
}

// Testcontainers wants two images of its own: one that removes containers after a crash (here belongings.ts does that), and one to find
// out the host's address when it runs in a container itself. Where Kafka's image cannot be pulled, neither can these.
function keepTestcontainersLocal(): void {
  process.env['TESTCONTAINERS_RYUK_DISABLED'] ??= 'true'
  process.env['TESTCONTAINERS_HOST_OVERRIDE'] ??= '127.0.0.1'
}
