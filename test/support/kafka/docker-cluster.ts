// A cluster of containers, through Testcontainers: the way for machines with Docker and without Java, and what test/containers tries.
// Every node has a port of this machine that stays the same when it is started again; among themselves the nodes talk in a network.

import { GenericContainer, Network, type StartedNetwork, Wait } from 'testcontainers'
import { disownContainer, ownContainer } from './belongings.ts'
import type { ClusterHost, KafkaNode, ToolRun } from './cluster.ts'
import { kafkaImage } from './docker-image.ts'
import type { ClusterPlan } from './jar-cluster.ts'
import { freePorts } from './ports.ts'
import { runToEnd } from './run.ts'
import type { KafkaTool, KafkaVersion } from './versions.ts'
import { until } from './wait.ts'

const HOST = '127.0.0.1'
const STARTED = /Kafka Server started/g
const START_TIMEOUT_MS = 120_000
const PORT_TRIES = 5
const LOG_DIR = '/tmp/kafka-logs'
const SCRIPTS: Readonly<Record<KafkaTool, string>> = {
  consoleConsumer: '/opt/kafka/bin/kafka-console-consumer.sh',
  consoleProducer: '/opt/kafka/bin/kafka-console-producer.sh',
  dumpLogSegments: '/opt/kafka/bin/kafka-dump-log.sh',
}

type NodeState = 'down' | 'running' | 'paused'

/** Resolves when every broker serves. When another program was faster at one of the ports, it begins again with others. */
export async function startDockerCluster(plan: ClusterPlan): Promise<ClusterHost> {
  const image = await kafkaImage(plan.version)
  for (let tries = 1; ; tries++) {
    const cluster = new DockerCluster(plan, image, await new Network().start(), await freePorts(plan.brokers))
    try {
      await cluster.startAll()
      return cluster
    } catch (error) {
      await cluster.stopAll()
      if (!/port is already allocated|address already in use/.test(String(error)) || tries === PORT_TRIES) throw error
    }
  }
}

class DockerCluster implements ClusterHost {
  readonly version: KafkaVersion
  readonly source = 'docker'
  readonly nodes: readonly KafkaNode[]
  readonly #plan: ClusterPlan
  readonly #image: string
  readonly #network: StartedNetwork
  readonly #containers = new Map<number, string>()
  readonly #states = new Map<number, NodeState>()
  #isOver = false

  constructor(plan: ClusterPlan, image: string, network: StartedNetwork, ports: readonly number[]) {
    this.version = plan.version
    this.#plan = plan
    this.#image = image
    this.#network = network
    this.nodes = ports.map((port, index) => ({ nodeId: index + 1, host: HOST, port }))
  }

  async startAll(): Promise<void> {
    const outcomes = await Promise.allSettled(this.nodes.map((node) => this.#create(node)))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  isUp(nodeId: number): boolean {
    return this.#states.get(nodeId) === 'running'
  }

  async kill(nodeId: number): Promise<void> {
    if (this.#states.get(nodeId) === 'down') return
    await this.#docker(['kill', this.#container(nodeId)])
    this.#states.set(nodeId, 'down')
  }

  async stop(nodeId: number): Promise<void> {
    if (this.#states.get(nodeId) === 'down') return
    await this.#docker(['stop', '--time', '30', this.#container(nodeId)])
    this.#states.set(nodeId, 'down')
  }

  async start(nodeId: number): Promise<void> {
    const container = this.#container(nodeId)
    const startsBefore = await this.#starts(container)
    await this.#docker(['start', container])
    await until(`broker ${nodeId} in its container`, { timeoutMs: START_TIMEOUT_MS, intervalMs: 100 }, async () =>
      (await this.#starts(container)) > startsBefore ? true : undefined,
    )
    this.#states.set(nodeId, 'running')
  }

  async pause(nodeId: number): Promise<void> {
    await this.#docker(['pause', this.#container(nodeId)])
    this.#states.set(nodeId, 'paused')
  }

  async resume(nodeId: number): Promise<void> {
    await this.#docker(['unpause', this.#container(nodeId)])
    this.#states.set(nodeId, 'running')
  }

  logDir(): string {
    throw new Error("a node's folder is inside its container")
  }

  async segmentFiles(nodeId: number, topic: string, partition: number): Promise<readonly string[]> {
    const folder = `${LOG_DIR}/${topic}-${partition}`
    const names = await this.#docker(['exec', this.#container(nodeId), 'ls', folder])
    const logs = names.split('\n').filter((name) => name.endsWith('.log'))
    return logs.sort().map((name) => `${folder}/${name}`)
  }

  get toolBootstrapServers(): string {
    return this.nodes.map(({ nodeId }) => `${innerName(nodeId)}:19092`).join(',')
  }

  async runTool(tool: KafkaTool, args: readonly string[], { input, nodeId }: ToolRun = {}): Promise<string> {
    const where = nodeId ?? this.nodes.find((node) => this.isUp(node.nodeId))?.nodeId
    if (where === undefined) throw new Error('no node of the cluster is running')
    const interactive = input === undefined ? [] : ['--interactive']
    return await this.#docker(['exec', ...interactive, this.#container(where), SCRIPTS[tool], ...args], input)
  }

  async stopAll(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    for (const container of this.#containers.values()) {
      await this.#docker(['rm', '--force', '--volumes', container])
      disownContainer(container)
    }
    await this.#network.stop()
  }

  async #create({ nodeId, port }: KafkaNode): Promise<void> {
    const container = await new GenericContainer(this.#image)
      .withNetwork(this.#network)
      .withNetworkAliases(innerName(nodeId))
      .withExposedPorts({ container: 9092, host: port })
      .withEnvironment(this.#environment(nodeId, port))
      .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/).withStartupTimeout(START_TIMEOUT_MS))
      .withAutoRemove(false)
      .start()
    this.#containers.set(nodeId, container.getId())
    this.#states.set(nodeId, 'running')
    ownContainer(container.getId())
  }

  #environment(nodeId: number, port: number): Record<string, string> {
    const replicas = String(Math.min(3, this.nodes.length))
    const inSync = this.nodes.length >= 3 ? '2' : '1'
    const inner = innerName(nodeId)
    const properties = {
      'node.id': String(nodeId),
      'process.roles': 'broker,controller',
      'controller.quorum.voters': this.nodes.map((node) => `${node.nodeId}@${innerName(node.nodeId)}:9093`).join(','),
      'controller.listener.names': 'CONTROLLER',
      listeners: 'PLAINTEXT://:9092,CONTROLLER://:9093,INTERNAL://:19092',
      'advertised.listeners': `PLAINTEXT://${HOST}:${port},INTERNAL://${inner}:19092`,
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT',
      'inter.broker.listener.name': 'INTERNAL',
      'log.dirs': LOG_DIR,
      'auto.create.topics.enable': String(this.#plan.autoCreateTopics),
      'default.replication.factor': replicas,
      'min.insync.replicas': inSync,
      'offsets.topic.replication.factor': replicas,
      'offsets.topic.num.partitions': '5',
      'transaction.state.log.replication.factor': replicas,
      'transaction.state.log.min.isr': inSync,
      'transaction.state.log.num.partitions': '5',
      'group.initial.rebalance.delay.ms': '0',
      'broker.session.timeout.ms': '3000',
      'broker.heartbeat.interval.ms': '500',
      ...this.#plan.config,
    }
    const entries = Object.entries(properties).map(([name, value]) => [environmentName(name), value])
    return { CLUSTER_ID: '4L6g3nShT-eMCtK--X86sw', ...Object.fromEntries(entries) }
  }

  async #starts(container: string): Promise<number> {
    return (await this.#docker(['logs', container])).match(STARTED)?.length ?? 0
  }

  #container(nodeId: number): string {
    const container = this.#containers.get(nodeId)
    if (container === undefined)
      throw new Error(`no node ${nodeId}: there are ${[...this.#containers.keys()].join(', ')}`)
    return container
  }

  async #docker(args: readonly string[], input?: string): Promise<string> {
    return await runToEnd('docker', args, { what: `docker ${args[0]}`, ...(input === undefined ? {} : { input }) })
  }
}

function innerName(nodeId: number): string {
  return `broker-${nodeId}`
}

/** As both families of images read it: a dot is one underscore, an underscore two, a dash three. */
function environmentName(property: string): string {
  return `KAFKA_${property.replaceAll('_', '__').replaceAll('-', '___').replaceAll('.', '_').toUpperCase()}`
}
