// CreateTopics (key 19), versions 2 to 7: makes topics, for the demo, the tests and the command line.
//   v3 throttles after the answer   v4 -1 asks for the broker's defaults (KIP-464)   v5 flexible, configs in the answer (KIP-525)
//   v6 may answer THROTTLING_QUOTA_EXCEEDED (KIP-599)   v7 topic id
// From: demo, tests. To: header.ts.
import { type Api, ZERO_UUID } from '../api.ts'
import type { Reader } from '../reader.ts'
import { type TaggedField, Writer } from '../writer.ts'

export interface CreateTopicsRequest {
  readonly topics: readonly {
    readonly name: string
    /** -1: the broker's default, or as many as `assignments` says. */
    readonly numPartitions: number
    /** -1: the broker's default, or as many as `assignments` says. */
    readonly replicationFactor: number
    readonly assignments: readonly { readonly partitionIndex: number; readonly brokerIds: readonly number[] }[]
    readonly configs: readonly { readonly name: string; readonly value: string | null }[]
  }[]
  readonly timeoutMs: number
  readonly validateOnly: boolean
}

export interface CreateTopicsResponse {
  readonly throttleTimeMs: number
  readonly topics: readonly CreatableTopicResult[]
}

export interface CreatableTopicResult {
  readonly name: string
  readonly topicId: Uint8Array
  readonly errorCode: number
  readonly errorMessage: string | null
  /** Why `configs` is null, when it is. */
  readonly topicConfigErrorCode: number
  readonly numPartitions: number
  readonly replicationFactor: number
  readonly configs:
    | readonly {
        readonly name: string
        readonly value: string | null
        readonly readOnly: boolean
        readonly configSource: number
        readonly isSensitive: boolean
      }[]
    | null
}

const FLEXIBLE_FROM = 5
const TOPIC_CONFIG_ERROR_CODE_TAG = 0

export const createTopics: Api<CreateTopicsRequest, CreateTopicsResponse> = {
  name: 'CreateTopics',
  key: 19,
  versions: { min: 2, max: 7 },
  flexibleFrom: FLEXIBLE_FROM,

  encodeRequest(writer, request, version) {
    const flexible = version >= FLEXIBLE_FROM
    writer.array(request.topics, flexible, (topic) => {
      writer.string(topic.name, flexible).int32(topic.numPartitions).int16(topic.replicationFactor)
      writer.array(topic.assignments, flexible, (assignment) => {
        writer.int32(assignment.partitionIndex)
        writer.array(assignment.brokerIds, flexible, (brokerId) => writer.int32(brokerId))
        if (flexible) writer.taggedFields()
      })
      writer.array(topic.configs, flexible, (config) => {
        writer.string(config.name, flexible).nullableString(config.value, flexible)
        if (flexible) writer.taggedFields()
      })
      if (flexible) writer.taggedFields()
    })
    writer.int32(request.timeoutMs).boolean(request.validateOnly)
    if (flexible) writer.taggedFields()
  },

  decodeRequest(reader, version) {
    const flexible = version >= FLEXIBLE_FROM
    const request = {
      topics: reader.array(flexible, () => {
        const topic = {
          name: reader.string(flexible),
          numPartitions: reader.int32(),
          replicationFactor: reader.int16(),
          assignments: reader.array(flexible, () => {
            const assignment = {
              partitionIndex: reader.int32(),
              brokerIds: reader.array(flexible, () => reader.int32()),
            }
            if (flexible) reader.skipTaggedFields()
            return assignment
          }),
          configs: reader.array(flexible, () => {
            const config = { name: reader.string(flexible), value: reader.nullableString(flexible) }
            if (flexible) reader.skipTaggedFields()
            return config
          }),
        }
        if (flexible) reader.skipTaggedFields()
        return topic
      }),
      timeoutMs: reader.int32(),
      validateOnly: reader.boolean(),
    }
    if (flexible) reader.skipTaggedFields()
    return request
  },

  encodeResponse(writer, response, version) {
    const flexible = version >= FLEXIBLE_FROM
    writer.int32(response.throttleTimeMs)
    writer.array(response.topics, flexible, (topic) => {
      writer.string(topic.name, flexible)
      if (version >= 7) writer.uuid(topic.topicId)
      writer.int16(topic.errorCode).nullableString(topic.errorMessage, flexible)
      if (version >= 5) {
        writer.int32(topic.numPartitions).int16(topic.replicationFactor)
        writer.nullableArray(topic.configs, true, (config) => {
          writer.string(config.name, true).nullableString(config.value, true).boolean(config.readOnly)
          writer.int8(config.configSource).boolean(config.isSensitive).taggedFields()
        })
        writer.taggedFields(configErrorTag(topic.topicConfigErrorCode))
      }
    })
    if (flexible) writer.taggedFields()
  },

  decodeResponse(reader, version) {
    const flexible = version >= FLEXIBLE_FROM
    const response = {
      throttleTimeMs: reader.int32(),
      topics: reader.array(flexible, () => decodeTopic(reader, version)),
    }
    if (flexible) reader.skipTaggedFields()
    return response
  },
}

function decodeTopic(reader: Reader, version: number): CreatableTopicResult {
  const flexible = version >= FLEXIBLE_FROM
  const topic = {
    name: reader.string(flexible),
    topicId: version >= 7 ? reader.uuid() : ZERO_UUID,
    errorCode: reader.int16(),
    errorMessage: reader.nullableString(flexible),
    topicConfigErrorCode: 0,
    numPartitions: version >= 5 ? reader.int32() : -1,
    replicationFactor: version >= 5 ? reader.int16() : -1,
    configs: version >= 5 ? decodeConfigs(reader) : [],
  }
  if (flexible) {
    reader.knownTaggedFields({
      [TOPIC_CONFIG_ERROR_CODE_TAG]: (field) => {
        topic.topicConfigErrorCode = field.int16()
      },
    })
  }
  return topic
}

function decodeConfigs(reader: Reader): CreatableTopicResult['configs'] {
  return reader.nullableArray(true, () => {
    const config = {
      name: reader.string(true),
      value: reader.nullableString(true),
      readOnly: reader.boolean(),
      configSource: reader.int8(),
      isSensitive: reader.boolean(),
    }
    reader.skipTaggedFields()
    return config
  })
}

function configErrorTag(errorCode: number): TaggedField[] {
  return errorCode === 0 ? [] : [{ tag: TOPIC_CONFIG_ERROR_CODE_TAG, data: new Writer(2).int16(errorCode).finish() }]
}
