// Random messages and batches for fast-check, and every message that we speak as one list, so that a property can be asked of all of
// them at every version. `cut` says, apart from src/protocol, which field belongs to which version: it is read off Kafka's schemas.
import fc from 'fast-check'
import Long from 'long'
import type { Api } from '../../src/protocol/api.ts'
import {
  type ApiVersionsRequest,
  type ApiVersionsResponse,
  apiVersions,
} from '../../src/protocol/messages/api-versions.ts'
import {
  type CreateTopicsRequest,
  type CreateTopicsResponse,
  createTopics,
} from '../../src/protocol/messages/create-topics.ts'
import {
  type InitProducerIdRequest,
  type InitProducerIdResponse,
  initProducerId,
} from '../../src/protocol/messages/init-producer-id.ts'
import { type MetadataRequest, type MetadataResponse, metadata } from '../../src/protocol/messages/metadata.ts'
import { type ProduceRequest, type ProduceResponse, produce } from '../../src/protocol/messages/produce.ts'
import { Reader } from '../../src/protocol/reader.ts'
import type { RecordToEncode } from '../../src/protocol/record.ts'
import { Writer } from '../../src/protocol/writer.ts'

const INT32_MIN = -2_147_483_648

export const int8 = fc.integer({ min: -128, max: 127 })
export const int16 = fc.integer({ min: -32_768, max: 32_767 })
export const int32 = fc.integer()
export const uint32 = fc.integer({ min: 0, max: 0xffff_ffff })
export const int64: fc.Arbitrary<Long> = fc
  .oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.constantFrom(-1n, 0n, 1n, -(2n ** 63n), 2n ** 63n - 1n),
  )
  .map((value) => Long.fromString(value.toString()))
/** Any text but halves of surrogate pairs, which no encoding of UTF-8 keeps. */
export const text = fc.string({ unit: 'binary', maxLength: 12 })
export const nullableText = fc.option(text, { nil: null })
export const someBytes = fc.uint8Array({ maxLength: 40 })
export const uuid = fc.oneof(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.constant(new Uint8Array(16)))
const few = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(item, { maxLength: 4 })
const nodeIds = few(int32)

/** A message of one direction of one API, and what is to be known about it to ask a question of all of them. */
export interface MessageKind {
  /** As the schema is called: `ProduceRequest`. */
  readonly name: string
  readonly versions: readonly number[]
  /** Every field random, whatever the version. */
  readonly any: fc.Arbitrary<unknown>
  /** The same with the schema's default in each field that the version lacks. */
  cut(message: unknown, version: number): unknown
  encode(message: unknown, version: number): Uint8Array
  /** Everything must be consumed. */
  decode(bytes: Uint8Array, version: number): unknown
}

const anyApiVersionsRequest: fc.Arbitrary<ApiVersionsRequest> = fc.record({
  clientSoftwareName: text,
  clientSoftwareVersion: text,
})

const anyApiVersionsResponse: fc.Arbitrary<ApiVersionsResponse> = fc.record({
  errorCode: int16,
  apiKeys: few(fc.record({ apiKey: int16, minVersion: int16, maxVersion: int16 })),
  throttleTimeMs: int32,
  supportedFeatures: few(fc.record({ name: text, minVersion: int16, maxVersion: int16 })),
  finalizedFeaturesEpoch: int64,
  finalizedFeatures: few(fc.record({ name: text, maxVersionLevel: int16, minVersionLevel: int16 })),
  zkMigrationReady: fc.boolean(),
})

const anyMetadataRequest: fc.Arbitrary<MetadataRequest> = fc.record({
  topics: fc.option(few(fc.record({ topicId: uuid, name: nullableText })), { nil: null }),
  allowAutoTopicCreation: fc.boolean(),
  includeClusterAuthorizedOperations: fc.boolean(),
  includeTopicAuthorizedOperations: fc.boolean(),
})

const anyMetadataResponse: fc.Arbitrary<MetadataResponse> = fc.record({
  throttleTimeMs: int32,
  brokers: few(fc.record({ nodeId: int32, host: text, port: int32, rack: nullableText })),
  clusterId: nullableText,
  controllerId: int32,
  topics: few(
    fc.record({
      errorCode: int16,
      name: nullableText,
      topicId: uuid,
      isInternal: fc.boolean(),
      partitions: few(
        fc.record({
          errorCode: int16,
          partitionIndex: int32,
          leaderId: int32,
          leaderEpoch: int32,
          replicaNodes: nodeIds,
          isrNodes: nodeIds,
          offlineReplicas: nodeIds,
        }),
      ),
      topicAuthorizedOperations: int32,
    }),
  ),
  clusterAuthorizedOperations: int32,
  errorCode: int16,
})

const anyProduceRequest: fc.Arbitrary<ProduceRequest> = fc.record({
  transactionalId: nullableText,
  acks: int16,
  timeoutMs: int32,
  topicData: few(
    fc.record({
      name: text,
      topicId: uuid,
      partitionData: few(
        fc.record({ index: int32, records: fc.option(fc.tuple(fc.uint8Array({ maxLength: 200 })), { nil: null }) }),
      ),
    }),
  ),
})

const anyProduceResponse: fc.Arbitrary<ProduceResponse> = fc.record({
  responses: few(
    fc.record({
      name: text,
      topicId: uuid,
      partitionResponses: few(
        fc.record({
          index: int32,
          errorCode: int16,
          baseOffset: int64,
          logAppendTimeMs: int64,
          logStartOffset: int64,
          recordErrors: few(fc.record({ batchIndex: int32, batchIndexErrorMessage: nullableText })),
          errorMessage: nullableText,
          currentLeader: fc.oneof(
            fc.record({ leaderId: int32, leaderEpoch: int32 }),
            fc.constant({ leaderId: -1, leaderEpoch: -1 }),
          ),
        }),
      ),
    }),
  ),
  throttleTimeMs: int32,
  nodeEndpoints: few(fc.record({ nodeId: int32, host: text, port: int32, rack: nullableText })),
})

const anyInitProducerIdRequest: fc.Arbitrary<InitProducerIdRequest> = fc.record({
  transactionalId: nullableText,
  transactionTimeoutMs: int32,
  producerId: int64,
  producerEpoch: int16,
})

const anyInitProducerIdResponse: fc.Arbitrary<InitProducerIdResponse> = fc.record({
  throttleTimeMs: int32,
  errorCode: int16,
  producerId: int64,
  producerEpoch: int16,
})

const anyCreateTopicsRequest: fc.Arbitrary<CreateTopicsRequest> = fc.record({
  topics: few(
    fc.record({
      name: text,
      numPartitions: int32,
      replicationFactor: int16,
      assignments: few(fc.record({ partitionIndex: int32, brokerIds: nodeIds })),
      configs: few(fc.record({ name: text, value: nullableText })),
    }),
  ),
  timeoutMs: int32,
  validateOnly: fc.boolean(),
})

const anyCreateTopicsResponse: fc.Arbitrary<CreateTopicsResponse> = fc.record({
  throttleTimeMs: int32,
  topics: few(
    fc.record({
      name: text,
      topicId: uuid,
      errorCode: int16,
      errorMessage: nullableText,
      topicConfigErrorCode: int16,
      numPartitions: int32,
      replicationFactor: int16,
      configs: fc.option(
        few(
          fc.record({
            name: text,
            value: nullableText,
            readOnly: fc.boolean(),
            configSource: int8,
            isSensitive: fc.boolean(),
          }),
        ),
        { nil: null },
      ),
    }),
  ),
})

const NO_UUID = new Uint8Array(16)

/** All messages that we speak, both directions. */
export const messageKinds: readonly MessageKind[] = [
  request(apiVersions, anyApiVersionsRequest, (message, version) =>
    version >= 3 ? message : { clientSoftwareName: '', clientSoftwareVersion: '' },
  ),
  response(apiVersions, anyApiVersionsResponse, (message, version) => ({
    ...message,
    throttleTimeMs: version >= 1 ? message.throttleTimeMs : 0,
    supportedFeatures: version >= 3 ? message.supportedFeatures : [],
    finalizedFeaturesEpoch: version >= 3 ? message.finalizedFeaturesEpoch : Long.NEG_ONE,
    finalizedFeatures: version >= 3 ? message.finalizedFeatures : [],
    zkMigrationReady: version >= 3 ? message.zkMigrationReady : false,
  })),
  request(metadata, anyMetadataRequest, (message, version) => ({
    topics:
      message.topics?.map((topic) => ({
        topicId: version >= 10 ? topic.topicId : NO_UUID,
        name: version >= 10 ? topic.name : (topic.name ?? ''),
      })) ?? (version >= 1 ? null : []),
    allowAutoTopicCreation: version >= 4 ? message.allowAutoTopicCreation : true,
    includeClusterAuthorizedOperations:
      version >= 8 && version <= 10 ? message.includeClusterAuthorizedOperations : false,
    includeTopicAuthorizedOperations: version >= 8 ? message.includeTopicAuthorizedOperations : false,
  })),
  response(metadata, anyMetadataResponse, (message, version) => ({
    throttleTimeMs: version >= 3 ? message.throttleTimeMs : 0,
    brokers: message.brokers.map((broker) => ({ ...broker, rack: version >= 1 ? broker.rack : null })),
    clusterId: version >= 2 ? message.clusterId : null,
    controllerId: version >= 1 ? message.controllerId : -1,
    topics: message.topics.map((topic) => ({
      errorCode: topic.errorCode,
      name: version >= 12 ? topic.name : (topic.name ?? ''),
      topicId: version >= 10 ? topic.topicId : NO_UUID,
      isInternal: version >= 1 ? topic.isInternal : false,
      partitions: topic.partitions.map((partition) => ({
        ...partition,
        leaderEpoch: version >= 7 ? partition.leaderEpoch : -1,
        offlineReplicas: version >= 5 ? partition.offlineReplicas : [],
      })),
      topicAuthorizedOperations: version >= 8 ? topic.topicAuthorizedOperations : INT32_MIN,
    })),
    clusterAuthorizedOperations: version >= 8 && version <= 10 ? message.clusterAuthorizedOperations : INT32_MIN,
    errorCode: version >= 13 ? message.errorCode : 0,
  })),
  request(produce, anyProduceRequest, (message, version) => ({
    ...message,
    topicData: message.topicData.map((topic) => ({
      ...topic,
      name: version <= 12 ? topic.name : '',
      topicId: version >= 13 ? topic.topicId : NO_UUID,
    })),
  })),
  response(produce, anyProduceResponse, (message, version) => ({
    responses: message.responses.map((topic) => ({
      name: version <= 12 ? topic.name : '',
      topicId: version >= 13 ? topic.topicId : NO_UUID,
      partitionResponses: topic.partitionResponses.map((partition) => ({
        ...partition,
        logStartOffset: version >= 5 ? partition.logStartOffset : Long.NEG_ONE,
        recordErrors: version >= 8 ? partition.recordErrors : [],
        errorMessage: version >= 8 ? partition.errorMessage : null,
        currentLeader: version >= 10 ? partition.currentLeader : { leaderId: -1, leaderEpoch: -1 },
      })),
    })),
    throttleTimeMs: message.throttleTimeMs,
    nodeEndpoints: version >= 10 ? message.nodeEndpoints : [],
  })),
  request(initProducerId, anyInitProducerIdRequest, (message, version) => ({
    ...message,
    producerId: version >= 3 ? message.producerId : Long.NEG_ONE,
    producerEpoch: version >= 3 ? message.producerEpoch : -1,
  })),
  response(initProducerId, anyInitProducerIdResponse, (message) => message),
  request(createTopics, anyCreateTopicsRequest, (message) => message),
  response(createTopics, anyCreateTopicsResponse, (message, version) => ({
    throttleTimeMs: message.throttleTimeMs,
    topics: message.topics.map((topic) => ({
      ...topic,
      topicId: version >= 7 ? topic.topicId : NO_UUID,
      topicConfigErrorCode: version >= 5 ? topic.topicConfigErrorCode : 0,
      numPartitions: version >= 5 ? topic.numPartitions : -1,
      replicationFactor: version >= 5 ? topic.replicationFactor : -1,
      configs: version >= 5 ? topic.configs : [],
    })),
  })),
]

/** The kind with this schema name. */
export function messageKind(name: string): MessageKind {
  const kind = messageKinds.find((each) => each.name === name)
  if (kind === undefined) throw new Error(`no message ${name}`)
  return kind
}

/** Timestamps around one moment, before and after it, some of them years away: deltas of every length, negative ones too. */
const timestamp = fc.oneof(
  fc.integer({ min: -5000, max: 5000 }).map((delta) => 1_700_000_000_000 + delta),
  fc.integer({ min: 0, max: 8_640_000_000_000_000 }),
  fc.constantFrom(0, 1, 1_700_000_000_000 + 2_147_483_648, 1_700_000_000_000 - 2_147_483_649),
)

export const anyRecord: fc.Arbitrary<Required<RecordToEncode>> = fc.record({
  timestamp: timestamp,
  key: fc.option(someBytes, { nil: null }),
  value: fc.option(fc.oneof(someBytes, fc.uint8Array({ minLength: 120, maxLength: 300 })), { nil: null }),
  headers: few(fc.record({ key: text, value: fc.option(someBytes, { nil: null }) })),
})

export const anyRecords = fc.array(anyRecord, { minLength: 1, maxLength: 12 })

/** Producer id, epoch and sequence as they go together, and whether the batch belongs to a transaction. */
const anyIdentity = fc.oneof(
  fc.constant({ producerId: -1, producerEpoch: -1, baseSequence: -1, isTransactional: false }),
  fc.record({
    producerId: fc.maxSafeNat(),
    producerEpoch: fc.nat({ max: 32_767 }),
    baseSequence: fc.nat({ max: 2_147_483_647 }),
    isTransactional: fc.boolean(),
  }),
)

const anyPlace = fc.record({
  baseOffset: fc.oneof(fc.constant(0), fc.nat({ max: 2 ** 50 })),
  partitionLeaderEpoch: fc.oneof(fc.constant(-1), fc.nat()),
})

const anyTimestampType = fc.oneof(
  { weight: 4, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.record({ logAppendTimeMs: timestamp }) },
)

/** Records with what the header of their batch says. */
export interface AnyBatch {
  readonly records: readonly Required<RecordToEncode>[]
  readonly options: {
    readonly producerId: number
    readonly producerEpoch: number
    readonly baseSequence: number
    readonly isTransactional: boolean
    readonly baseOffset: number
    readonly partitionLeaderEpoch: number
    readonly logAppendTimeMs?: number
  }
}

export const anyBatch: fc.Arbitrary<AnyBatch> = fc
  .tuple(anyRecords, anyIdentity, anyPlace, anyTimestampType)
  .map(([records, identity, place, timestampType]) => ({
    records,
    options: { ...identity, ...place, ...timestampType },
  }))

function request<Request, Response>(
  api: Api<Request, Response>,
  any: fc.Arbitrary<Request>,
  cut: (message: Request, version: number) => Request,
): MessageKind {
  return kind(`${api.name}Request`, api, any, cut, api.encodeRequest, api.decodeRequest)
}

function response<Request, Response>(
  api: Api<Request, Response>,
  any: fc.Arbitrary<Response>,
  cut: (message: Response, version: number) => Response,
): MessageKind {
  return kind(`${api.name}Response`, api, any, cut, api.encodeResponse, api.decodeResponse)
}

function kind<Message>(
  name: string,
  { versions: { min, max } }: { versions: { min: number; max: number } },
  any: fc.Arbitrary<Message>,
  cut: (message: Message, version: number) => Message,
  encode: (writer: Writer, message: Message, version: number) => void,
  decode: (reader: Reader, version: number) => Message,
): MessageKind {
  return {
    name,
    versions: Array.from({ length: max - min + 1 }, (_, index) => min + index),
    any,
    cut: (message, version) => cut(message as Message, version),
    encode(message, version) {
      const writer = new Writer()
      encode(writer, message as Message, version)
      // A plain array, no Buffer: what is read from it compares with what was written.
      return new Uint8Array(writer.finish())
    },
    decode(bytes, version) {
      const reader = new Reader(bytes)
      const message = decode(reader, version)
      reader.expectEnd()
      return message
    },
  }
}
