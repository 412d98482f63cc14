// Every version of every API that a real broker and we have in common is spoken with that broker and accepted. A producer is brought to
// an older version by a broker that seems to speak no newer one (limited-dial.ts); what it then asked in is read off the wire. The APIs
// that no producer needs, and ApiVersions, which nothing can limit, are asked over a connection.

import { randomBytes } from 'node:crypto'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { Connection } from '../../src/net/connection.ts'
import { tcpDial } from '../../src/net/dial.ts'
import { clientSoftware } from '../../src/net/handshake.ts'
import type { Api } from '../../src/protocol/api.ts'
import { type ApiVersionsResponse, apiVersions } from '../../src/protocol/messages/api-versions.ts'
import { createTopics } from '../../src/protocol/messages/create-topics.ts'
import { initProducerId } from '../../src/protocol/messages/init-producer-id.ts'
import { metadata } from '../../src/protocol/messages/metadata.ts'
import { produce } from '../../src/protocol/messages/produce.ts'
import { consoleConsume } from '../support/clients/kafka-tools.ts'
import { pythonAvailability } from '../support/clients/python.ts'
import { pythonConsume } from '../support/clients/python-client.ts'
import { limitedDial } from '../support/integration/limited-dial.ts'
import { useStage } from '../support/integration/stage.ts'
import { describeEachKafka } from '../support/kafka/describe-kafka.ts'
import { KAFKA_VERSIONS, type KafkaVersion } from '../support/kafka/versions.ts'
import { RecordingLog } from '../support/recording-log.ts'

const APIS = {
  ApiVersions: apiVersions,
  Metadata: metadata,
  Produce: produce,
  InitProducerId: initProducerId,
  CreateTopics: createTopics,
}

type ApiName = keyof typeof APIS
type Versions = Readonly<Record<ApiName, number[]>>

const from = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

/** What each release and we have in common. 4.x says that it speaks Produce from 0 on; magic 2, and with it version 3, is its least. */
const COMMON: Readonly<Record<KafkaVersion, Versions>> = {
  '4.4': {
    ApiVersions: from(0, 4),
    Metadata: from(0, 13),
    Produce: from(3, 13),
    InitProducerId: from(0, 5),
    CreateTopics: from(2, 7),
  },
  '4.3': {
    ApiVersions: from(0, 4),
    Metadata: from(0, 13),
    Produce: from(3, 13),
    InitProducerId: from(0, 5),
    CreateTopics: from(2, 7),
  },
  '3.9': {
    ApiVersions: from(0, 4),
    Metadata: from(0, 12),
    Produce: from(3, 11),
    InitProducerId: from(0, 5),
    CreateTopics: from(2, 7),
  },
  '2.8': {
    ApiVersions: from(0, 3),
    Metadata: from(0, 11),
    Produce: from(3, 9),
    InitProducerId: from(0, 4),
    CreateTopics: from(2, 7),
  },
}

// Part of the names of topics: on a cluster that outlives the tests they must be new.
const run = randomBytes(4).toString('hex')

const python = pythonAvailability()
if (!python.found) console.log(`reading back by confluent-kafka: skipped, ${python.reason}`)

describeEachKafka(
  KAFKA_VERSIONS,
  (kafka) => {
    const stage = useStage(kafka)
    const connections: Connection[] = []

    afterEach(() => {
      for (const connection of connections.splice(0)) connection.close()
    })

    async function connect(): Promise<Connection> {
      const [node] = kafka.cluster.nodes
      const connection = await Connection.open(
        node!,
        {
          clientId: 'wire-versions',
          requestTimeoutMs: 30_000,
          setupTimeoutMs: 30_000,
          dial: tcpDial,
          clock: systemClock,
          brokerName: `${node!.host}:${node!.port}`,
          log: new RecordingLog(),
        },
        new AbortController().signal,
      )
      connections.push(connection)
      return connection
    }

    /** The versions of an API that the broker offers and we have. */
    async function inCommon(api: Pick<Api<never, unknown>, 'key' | 'versions'>): Promise<number[]> {
      const connection = await connect()
      const { apiKeys } = await connection.request(apiVersions, clientSoftware)
      const offered = apiKeys.find(({ apiKey }) => apiKey === api.key)!
      return from(Math.max(offered.minVersion, api.versions.min), Math.min(offered.maxVersion, api.versions.max))
    }

    test.skipIf(kafka.version === undefined)('what is common is what is known of this release', async () => {
      const found: Record<string, number[]> = {}
      for (const [name, api] of Object.entries(APIS)) found[name] = await inCommon(api)
      expect(found).toEqual(COMMON[kafka.version!])
    })

    test('ApiVersions is answered in every common version, with the same list', async () => {
      const connection = await connect()
      const spoken: number[] = []
      const answers: ApiVersionsResponse[] = []
      for (const version of await inCommon(apiVersions)) {
        const answer = await connection.request(apiVersions, clientSoftware, { version })
        expect(answer.errorCode).toBe(0)
        answers.push(answer)
        spoken.push(version)
      }
      // Before version 4 a range that begins above 0 for features cannot be told; the APIs are the same in all.
      for (const { apiKeys } of answers) expect(apiKeys).toEqual(answers[0]!.apiKeys)
      report('ApiVersions', spoken)
    })

    test('CreateTopics makes a topic in every common version', async () => {
      const connection = await connect()
      const spoken: number[] = []
      for (const version of await inCommon(createTopics)) {
        const name = `made-in-version-${version}-${run}`
        const answer = await connection.request(
          createTopics,
          {
            topics: [
              {
                name,
                numPartitions: 2,
                replicationFactor: 1,
                assignments: [],
                configs: [{ name: 'retention.ms', value: '-1' }],
              },
            ],
            timeoutMs: 10_000,
            validateOnly: false,
          },
          { version },
        )
        expect(answer.topics).toMatchObject([{ name, errorCode: 0 }])
        if (version >= 5) {
          expect(answer.topics[0]).toMatchObject({ numPartitions: 2, replicationFactor: 1 })
          expect(answer.topics[0]!.configs).toContainEqual(
            expect.objectContaining({ name: 'retention.ms', value: '-1' }),
          )
        }
        expect(await kafka.cluster.endOffsets(name)).toEqual([0, 0])
        spoken.push(version)
      }
      report('CreateTopics', spoken)
    })

    test('a producer limited to each common version of Metadata, InitProducerId and Produce is understood', async () => {
      const common = {
        Metadata: await inCommon(metadata),
        InitProducerId: await inCommon(initProducerId),
        Produce: await inCommon(produce),
      }
      const used = { Metadata: new Set<number>(), InitProducerId: new Set<number>(), Produce: new Set<number>() }
      const shared = await kafka.cluster.newTopic(1)
      const known = await kafka.cluster.partitions(shared)
      const stored: { offset: number; key: string; value: string }[] = []
      const steps = Math.max(...Object.values(common).map((versions) => versions.length))
      for (let step = 0; step < steps; step++) {
        // From the newest down; a list that has come to its end stays there. (Produce 13 names topics by ids, which Metadata has from 10 on.)
        const atStep = (versions: readonly number[]) => versions[Math.max(0, versions.length - 1 - step)]!
        const limits = new Map([
          [metadata.key, atStep(common.Metadata)],
          [initProducerId.key, atStep(common.InitProducerId)],
          [produce.key, atStep(common.Produce)],
        ])
        const { dial, versionsUsed } = limitedDial(limits)
        const producer = stage.producer({ dial })
        const value = [...limits].map(([key, version]) => `API ${key} v${version}`).join(', ')
        const [first, second] = await producer.sendMany([
          { topic: shared, key: 'first', value },
          { topic: shared, key: 'second', value, headers: { step: `${step}` } },
        ])
        // A topic that is not there yet is made, because Metadata asks for it; not every broker of somebody else does that.
        if (kafka.controlsNodes) {
          const made = await producer.send({ topic: `made-by-metadata-${step}-${run}`, value })
          expect(made).toMatchObject({ partition: 0, offset: 0 })
        }
        expect(await producer.partitionsFor(shared)).toEqual(
          known.map((partition) => ({ topic: shared, ...partition, offlineReplicas: [] })),
        )
        stored.push({ offset: first!.offset, key: 'first', value }, { offset: second!.offset, key: 'second', value })
        for (const [key, version] of limits) expect(versionsUsed(key)).toEqual([version])
        for (const [name, versions] of Object.entries(used)) {
          for (const version of versionsUsed(APIS[name as ApiName].key)) versions.add(version)
        }
      }
      for (const [name, versions] of Object.entries(used)) {
        const spoken = [...versions].sort((a, b) => a - b)
        expect(spoken).toEqual(common[name as keyof typeof common])
        report(name, spoken)
      }
      expect(stored.map(({ offset }) => offset)).toEqual(stored.map((_, index) => index))
      const [printed, consumed] = await Promise.all([
        consoleConsume(kafka.cluster, shared, { partition: 0 }),
        python.found ? pythonConsume(kafka.cluster.bootstrapServers, shared) : undefined,
      ])
      expect(printed.map(({ offset, key, value }) => ({ offset, key, value }))).toEqual(stored)
      const read = consumed?.map(({ offset, key, value }) => ({ offset, key: `${key}`, value: `${value}` }))
      if (python.found) expect(read).toEqual(stored)
    })

    function report(api: string, versions: readonly number[]): void {
      console.log(`Kafka ${kafka.version ?? 'of somebody else'} accepted ${api} ${versions.join(', ')}`)
    }
  },
  { autoCreateTopics: true },
)
