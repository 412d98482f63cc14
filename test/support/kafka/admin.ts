// What the tests ask of a cluster beside the producer under test: topics, leaders, end offsets. It speaks Kafka's protocol in versions
// that every release from 2.8 to 4.4 shares (non-flexible ones), written by hand here and not through src/: a fault over there must not
// hide itself in the harness. One connection a request.

import { connect } from 'node:net'
import { GiveUp, until } from './wait.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

export interface TopicOptions {
  /** Default: three, or as many as there are brokers when those are fewer. */
  readonly replicationFactor?: number
  readonly config?: Readonly<Record<string, string>>
}

export interface PartitionState {
  readonly partition: number
  /** Node id; -1 for none. */
  readonly leader: number
  readonly replicas: readonly number[]
  readonly inSyncReplicas: readonly number[]
}

export interface ClusterState {
  readonly brokers: ReadonlyMap<number, Address>
  readonly controllerId: number
  readonly topic: { readonly errorCode: number; readonly partitions: readonly PartitionState[] }
}

const LIST_OFFSETS = { key: 2, version: 1 }
const METADATA = { key: 3, version: 4 }
const CREATE_TOPICS = { key: 19, version: 2 }
const DELETE_TOPICS = { key: 20, version: 1 }
const CREATE_PARTITIONS = { key: 37, version: 0 }

const NONE = 0
const TOPIC_ALREADY_EXISTS = 36
// Passing states of a cluster that is starting or electing: asked again until the deadline.
const PASSING = new Map([
  [3, 'UNKNOWN_TOPIC_OR_PARTITION'],
  [5, 'LEADER_NOT_AVAILABLE'],
  [6, 'NOT_LEADER_OR_FOLLOWER'],
  [7, 'REQUEST_TIMED_OUT'],
  [14, 'COORDINATOR_LOAD_IN_PROGRESS'],
  [41, 'NOT_CONTROLLER'],
  [38, 'INVALID_REPLICATION_FACTOR'], // while not all brokers have registered
  [78, 'OFFSET_NOT_AVAILABLE'],
])

const REQUEST_TIMEOUT_MS = 10_000
const WAIT = { timeoutMs: 60_000, intervalMs: 50 }

/** The state of one topic as the broker at `address` knows it. */
export async function describeTopic(address: Address, topic: string): Promise<ClusterState> {
  const state = await metadata(address, [topic])
  if (state.topic === undefined) throw new Error(`metadata of ${topic}: no topic in the answer`)
  return { ...state, topic: state.topic }
}

async function metadata(address: Address, topics: readonly string[]) {
  const request = new Bytes().array(topics, (bytes, name) => bytes.string(name)).int8(0) // create nothing
  const answer = await ask(address, METADATA, request)
  answer.int32() // throttle time
  const brokers = new Map<number, Address>()
  answer.array(() => {
    const nodeId = answer.int32()
    brokers.set(nodeId, { host: answer.string() ?? '', port: answer.int32() })
    answer.string() // rack
  })
  answer.string() // cluster id
  const controllerId = answer.int32()
  const [topic] = answer.array(() => {
    const errorCode = answer.int16()
    answer.string() // name
    answer.int8() // is internal
    const partitions = answer.array(() => {
      answer.int16() // the leader says as much
      const partition = answer.int32()
      const leader = answer.int32()
      return {
        partition,
        leader,
        replicas: answer.array(() => answer.int32()),
        inSyncReplicas: answer.array(() => answer.int32()),
      }
    })
    return { errorCode, partitions: partitions.sort((a, b) => a.partition - b.partition) }
  })
  return { brokers, controllerId, topic }
}

/** Resolves when every broker of `addresses` knows a leader, and all replicas in sync, for every partition. */
export async function createTopic(
  addresses: readonly Address[],
  topic: string,
  partitions: number,
  options: TopicOptions = {},
): Promise<void> {
  const replicationFactor = options.replicationFactor ?? Math.min(3, addresses.length)
  const request = new Bytes()
    .array([topic], (bytes) =>
      bytes
        .string(topic)
        .int32(partitions)
        .int16(replicationFactor)
        .array([], () => bytes) // no assignments by hand
        .array(Object.entries(options.config ?? {}), (config, [name, value]) => config.string(name).string(value)),
    )
    .int32(REQUEST_TIMEOUT_MS)
    .int8(0) // not only validated
  let tries = 0
  await until(`create topic ${topic}`, WAIT, async () => {
    tries++
    const answer = await askController(addresses, CREATE_TOPICS, request)
    answer.int32() // throttle time
    // An earlier try that was lost on its way back may have made it.
    return answerOfTopic(answer, `create topic ${topic}`, tries > 1 ? [TOPIC_ALREADY_EXISTS] : [])
  })
  await awaitTopic(addresses, topic, partitions)
}

/** Grows a topic to `total` partitions. */
export async function addPartitions(addresses: readonly Address[], topic: string, total: number): Promise<void> {
  const request = new Bytes()
    .array([topic], (bytes, name) => bytes.string(name).int32(total).int32(-1)) // no assignments by hand
    .int32(REQUEST_TIMEOUT_MS)
    .int8(0)
  await until(`grow topic ${topic}`, WAIT, async () => {
    const answer = await askController(addresses, CREATE_PARTITIONS, request)
    answer.int32()
    return answerOfTopic(answer, `grow topic ${topic} to ${total} partitions`)
  })
  await awaitTopic(addresses, topic, total)
}

/** Resolves when no broker of `addresses` knows the topic any more. */
export async function deleteTopic(addresses: readonly Address[], topic: string): Promise<void> {
  const request = new Bytes().array([topic], (bytes, name) => bytes.string(name)).int32(REQUEST_TIMEOUT_MS)
  await until(`delete topic ${topic}`, WAIT, async () => {
    const answer = await askController(addresses, DELETE_TOPICS, request)
    answer.int32()
    const [deleted] = answer.array(() => ({ name: answer.string(), errorCode: answer.int16() }))
    return settled(deleted?.errorCode ?? -1, `delete topic ${topic}`, null)
  })
  await until(`topic ${topic} is gone everywhere`, WAIT, async () => {
    const states = await Promise.all(addresses.map((address) => describeTopic(address, topic)))
    return states.every((state) => state.topic.errorCode === 3) || undefined
  })
}

/** The offset after the last readable record (the high watermark) of each partition, by partition. */
export async function endOffsets(addresses: readonly Address[], topic: string): Promise<number[]> {
  return await until(`end offsets of ${topic}`, WAIT, async () => {
    const { brokers, topic: state } = await describeTopic(await anyOf(addresses), topic)
    if (settled(state.errorCode, `end offsets of ${topic}`, null) === undefined) return undefined
    const ends: number[] = []
    for (const { partition, leader } of state.partitions) {
      const address = brokers.get(leader)
      const end = address === undefined ? undefined : await endOffset(address, topic, partition)
      if (end === undefined) return undefined
      ends.push(end)
    }
    return ends
  })
}

async function endOffset(leader: Address, topic: string, partition: number): Promise<number | undefined> {
  const latest = -1n
  const request = new Bytes()
    .int32(-1) // no replica
    .array([topic], (bytes, name) =>
      bytes.string(name).array([partition], (inner, index) => inner.int32(index).int64(latest)),
    )
  const answer = await ask(leader, LIST_OFFSETS, request)
  const [topicAnswer] = answer.array(() => {
    answer.string()
    return answer.array(() => ({
      partition: answer.int32(),
      errorCode: answer.int16(),
      timestamp: answer.int64(),
      offset: Number(answer.int64()),
    }))
  })
  const [found] = topicAnswer ?? []
  if (found === undefined) throw new Error(`end offset of ${topic}-${partition}: nothing in the answer`)
  return settled(found.errorCode, `end offset of ${topic}-${partition}`, null) && found.offset
}

async function awaitTopic(addresses: readonly Address[], topic: string, partitions: number): Promise<void> {
  await until(`topic ${topic} has leaders everywhere`, WAIT, async () => {
    const states = await Promise.all(addresses.map((address) => describeTopic(address, topic)))
    return states.every((state) => isComplete(state, partitions)) || undefined
  })
}

function isComplete({ topic }: ClusterState, partitions: number): boolean {
  if (topic.errorCode !== NONE || topic.partitions.length !== partitions) return false
  return topic.partitions.every(
    ({ leader, replicas, inSyncReplicas }) => leader >= 0 && inSyncReplicas.length === replicas.length,
  )
}

/** The first address that takes a connection and answers. */
async function anyOf(addresses: readonly Address[]): Promise<Address> {
  const failures: unknown[] = []
  for (const address of addresses) {
    try {
      await metadata(address, [])
      return address
    } catch (error) {
      failures.push(error)
    }
  }
  throw new AggregateError(failures, 'no broker answers')
}

async function askController(addresses: readonly Address[], api: ApiVersion, body: Bytes): Promise<Answer> {
  // With ZooKeeper only the controller itself does it; KRaft brokers name any broker here, and every one of them forwards.
  const someBroker = await anyOf(addresses)
  const { brokers, controllerId } = await metadata(someBroker, [])
  const controller = brokers.get(controllerId)
  const isUp = addresses.some(({ port }) => port === controller?.port)
  return await ask(controller !== undefined && isUp ? controller : someBroker, api, body)
}

function answerOfTopic(answer: Answer, what: string, alsoFine: readonly number[] = []): true | undefined {
  const [topic] = answer.array(() => ({ name: answer.string(), errorCode: answer.int16(), message: answer.string() }))
  if (topic === undefined) throw new Error(`${what}: no topic in the answer`)
  return alsoFine.includes(topic.errorCode) ? true : settled(topic.errorCode, what, topic.message)
}

/** True without an error, undefined for one that passes; throws for one that stays. */
function settled(errorCode: number, what: string, message: string | null): true | undefined {
  if (errorCode === NONE) return true
  const passing = PASSING.get(errorCode)
  if (passing !== undefined) throw new Error(`${what}: ${passing} ${message ?? ''}`)
  throw new GiveUp(`${what}: error code ${errorCode} ${message ?? ''}`)
}

interface ApiVersion {
  readonly key: number
  readonly version: number
}

function ask(address: Address, api: ApiVersion, body: Bytes): Promise<Answer> {
  const correlationId = 1
  const head = new Bytes().int16(api.key).int16(api.version).int32(correlationId).string('kafka-wire test harness')
  const message = Buffer.concat([head.toBuffer(), body.toBuffer()])
  const size = new Bytes().int32(message.length).toBuffer()
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address.host, port: address.port })
    const where = `${address.host}:${address.port}, API ${api.key} version ${api.version}`
    let received = Buffer.alloc(0)
    socket.setTimeout(REQUEST_TIMEOUT_MS + 5_000, () => socket.destroy(new Error(`no answer from ${where}`)))
    socket.once('connect', () => socket.write(Buffer.concat([size, message])))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return
      socket.destroy()
      resolve(new Answer(received.subarray(8))) // behind size and correlation id
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error(`closed without an answer by ${where}`)))
  })
}

class Bytes {
  readonly #parts: Buffer[] = []

  int8(value: number): this {
    return this.#fixed(1, (buffer) => buffer.writeInt8(value))
  }
  int16(value: number): this {
    return this.#fixed(2, (buffer) => buffer.writeInt16BE(value))
  }
  int32(value: number): this {
    return this.#fixed(4, (buffer) => buffer.writeInt32BE(value))
  }
  int64(value: bigint): this {
    return this.#fixed(8, (buffer) => buffer.writeBigInt64BE(value))
  }
  string(value: string): this {
    const bytes = Buffer.from(value, 'utf8')
    this.int16(bytes.length)
    this.#parts.push(bytes)
    return this
  }
  array<T>(items: readonly T[], each: (bytes: this, item: T) => void): this {
    this.int32(items.length)
    for (const item of items) each(this, item)
    return this
  }
  toBuffer(): Buffer {
    return Buffer.concat(this.#parts)
  }
  #fixed(size: number, write: (buffer: Buffer) => void): this {
    const buffer = Buffer.alloc(size)
    write(buffer)
    this.#parts.push(buffer)
    return this
  }
}

class Answer {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }
  int8(): number {
    return this.#bytes.readInt8(this.#advance(1))
  }
  int16(): number {
    return this.#bytes.readInt16BE(this.#advance(2))
  }
  int32(): number {
    return this.#bytes.readInt32BE(this.#advance(4))
  }
  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#advance(8))
  }
  string(): string | null {
    const length = this.int16()
    if (length < 0) return null
    const start = this.#advance(length)
    return this.#bytes.toString('utf8', start, start + length)
  }
  array<T>(each: () => T): T[] {
    return Array.from({ length: Math.max(0, this.int32()) }, each)
  }
  #advance(size: number): number {
    const start = this.#at
    this.#at += size
    return start
  }
}
