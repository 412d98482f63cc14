// One Kafka release on this machine, under .cache/kafka/<version>: its jars, brought by Maven from pom/<version>/pom.xml, and for
// KRaft a formatted storage folder that every new broker gets a copy of, which saves the run of a Java program at every start.

import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cachePath, makeOnce } from './cache.ts'
import { findJava, findMaven, runJava } from './java.ts'
import { type Found, runToEnd } from './run.ts'
import { KAFKA_RELEASES, type KafkaTool, type KafkaVersion } from './versions.ts'

export interface Installation {
  readonly version: KafkaVersion
  readonly jarsDir: string
  /** meta.properties and bootstrap.checkpoint; undefined where ZooKeeper keeps the metadata. */
  readonly storageTemplateDir: string | undefined
}

/** Brings the release once; concurrent callers, in other processes too, wait for the same. */
export async function installKafka(version: KafkaVersion): Promise<Installation> {
  const home = cachePath('kafka', version)
  await makeOnce(
    home,
    () => isInstalled(version),
    async () => {
      const making = `${home}.making`
      rmSync(making, { recursive: true, force: true })
      mkdirSync(making, { recursive: true })
      await bringJars(version, join(making, 'jars'))
      if (KAFKA_RELEASES[version].metadataKeeper === 'kraft') await formatStorage(version, making)
      writeFileSync(join(making, 'pom.xml'), pomText(version))
      rmSync(home, { recursive: true, force: true })
      renameSync(making, home)
    },
  )
  const kraft = KAFKA_RELEASES[version].metadataKeeper === 'kraft'
  return { version, jarsDir: join(home, 'jars'), storageTemplateDir: kraft ? join(home, 'storage') : undefined }
}

/** Whether `installKafka` has nothing to do: the folder was made, and from the pom.xml as it is now. */
function isInstalled(version: KafkaVersion): boolean {
  const made = cachePath('kafka', version, 'pom.xml')
  return existsSync(made) && readFileSync(made, 'utf8') === pomText(version)
}

/** Whether jars can run here: Java, and Maven unless everything was brought before. */
export function canInstall(versions: readonly KafkaVersion[]): Found {
  const java = findJava()
  return java.found && !versions.every(isInstalled) ? findMaven() : java
}

/** Runs one of this release's own command-line programs and gives its standard output. */
export async function runInstalledTool(
  version: KafkaVersion,
  tool: KafkaTool,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const { toolsFrom, tools } = KAFKA_RELEASES[version]
  const { jarsDir } = await installKafka(toolsFrom)
  return await runJava(toolsFrom, jarsDir, { mainClass: tools[tool], args, ...(input === undefined ? {} : { input }) })
}

/** Gives a new broker its formatted storage: the template's, under its own cluster, node and directory ids. */
export function copyStorage(templateDir: string, logDir: string, ids: { clusterId: string; nodeId: number }): void {
  cpSync(templateDir, logDir, { recursive: true })
  const file = join(logDir, 'meta.properties')
  const properties = readFileSync(file, 'utf8')
    .replace(/^cluster\.id=.*$/m, `cluster.id=${ids.clusterId}`)
    .replace(/^node\.id=.*$/m, `node.id=${ids.nodeId}`)
    .replace(/^directory\.id=.*$/m, `directory.id=${randomKafkaId()}`)
  writeFileSync(file, properties)
}

/** 16 random bytes as Kafka's Uuid writes them: URL-safe Base64, and no dash in front, which tools take for an option. */
export function randomKafkaId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Buffer.from(bytes).toString('base64url').replace(/^-/, 'A')
}

function pomPath(version: KafkaVersion): string {
  return fileURLToPath(new URL(`pom/${version}/pom.xml`, import.meta.url))
}

function pomText(version: KafkaVersion): string {
  return readFileSync(pomPath(version), 'utf8')
}

async function bringJars(version: KafkaVersion, jarsDir: string): Promise<void> {
  const maven = findMaven()
  if (!maven.found) throw new Error(`Kafka ${version} is not in .cache/kafka yet, and ${maven.reason}`)
  const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${jarsDir}`]
  // -U: a look-up that failed once (no network) is remembered by Maven for a day.
  await runToEnd(maven.command, ['-B', '-q', '-U', '-f', pomPath(version), ...goal], {
    what: `Maven, for Kafka ${version}`,
    timeoutMs: 300_000,
  })
}

async function formatStorage(version: KafkaVersion, folder: string): Promise<void> {
  const properties = join(folder, 'format.properties')
  const storageDir = join(folder, 'storage')
  const lines = [
    'process.roles=broker,controller',
    'node.id=1',
    'controller.quorum.voters=1@127.0.0.1:9093',
    'controller.listener.names=CONTROLLER',
    'listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093',
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    `log.dirs=${storageDir}`,
  ]
  writeFileSync(properties, `${lines.join('\n')}\n`)
  await runJava(version, join(folder, 'jars'), {
    mainClass: 'kafka.tools.StorageTool',
    args: ['format', '-t', randomKafkaId(), '-c', properties],
  })
}
