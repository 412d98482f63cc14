// Produce (key 0), versions 3 to 13: record batches for the partitions that one broker leads.
//   v3 transactional id, batches of magic 2   v4 the broker may answer KAFKA_STORAGE_ERROR   v5 log start offset
//   v6 throttles after the answer (KIP-219)   v7 zstd may be used   v8 errors of single records (KIP-467)   v9 flexible
//   v10 new leaders in the answer (KIP-951)   v11 TRANSACTION_ABORTABLE   v12 adds partitions to transactions (KIP-890)
//   v13 topic id in place of the name (KIP-516): only for topics that have one
// From: producer/sender.ts, net/connection.ts. To: header.ts.
import Long from 'long'
import { type Api, fieldNotIn, ZERO_UUID } from '../api.ts'
import type { Reader } from '../reader.ts'
import { type TaggedField, Writer } from '../writer.ts'

export interface ProduceRequest {
  readonly transactionalId: string | null
  /** -1 all in-sync replicas, 1 the leader, 0 nobody: then there is no answer at all. */
  readonly acks: number
  readonly timeoutMs: number
  readonly topicData: readonly {
    /** Up to version 12. */
    readonly name: string
    /** From version 13 on. */
    readonly topicId: Uint8Array
    readonly partitionData: readonly {
      readonly index: number
      /** Pieces of the batch, in order; those above 4 KiB are linked into the frame. Decoding gives one view. */
      readonly records: readonly Uint8Array[] | null
    }[]
  }[]
}

export interface ProduceResponse {
  readonly responses: readonly {
    /** Up to version 12. */
    readonly name: string
    /** From version 13 on. */
    readonly topicId: Uint8Array
    readonly partitionResponses: readonly PartitionProduceResponse[]
  }[]
  readonly throttleTimeMs: number
  /** Where the leaders live that `currentLeader` names. */
  readonly nodeEndpoints: readonly {
    readonly nodeId: number
    readonly host: string
    readonly port: number
    readonly rack: string | null
  }[]
}

export interface PartitionProduceResponse {
  readonly index: number
  readonly errorCode: number
  readonly baseOffset: Long
  /** -1 unless the topic's timestamps are those of the append. */
  readonly logAppendTimeMs: Long
  /** -1 where the broker does not say. */
  readonly logStartOffset: Long
  readonly recordErrors: readonly {
    /** Which record of the batch, from 0. */
    readonly batchIndex: number
    readonly batchIndexErrorMessage: string | null
  }[]
  readonly errorMessage: string | null
  /** Both -1: nothing is said about the leader. */
  readonly currentLeader: LeaderIdAndEpoch
}

export interface LeaderIdAndEpoch {
  readonly leaderId: number
  readonly leaderEpoch: number
}

const FLEXIBLE_FROM = 9
const CURRENT_LEADER_TAG = 0
const NODE_ENDPOINTS_TAG = 0
const LEADER_NOT_SAID: LeaderIdAndEpoch = { leaderId: -1, leaderEpoch: -1 }

export const produce: Api<ProduceRequest, ProduceResponse> = {
  name: 'Produce',
  key: 0,
  versions: { min: 3, max: 13 },
  flexibleFrom: FLEXIBLE_FROM,

  encodeRequest(writer, request, version) {
    const flexible = version >= FLEXIBLE_FROM
    writer.nullableString(request.transactionalId, flexible)
    writer.int16(request.acks).int32(request.timeoutMs)
    writer.array(request.topicData, flexible, (topic) => {
      if (version >= 13) writer.uuid(topic.topicId)
      else writer.string(topic.name, flexible)
      writer.array(topic.partitionData, flexible, (partition) => {
        writer.int32(partition.index).records(partition.records, flexible)
        if (flexible) writer.taggedFields()
      })
      if (flexible) writer.taggedFields()
    })
    if (flexible) writer.taggedFields()
  },

  decodeRequest(reader, version) {
    const flexible = version >= FLEXIBLE_FROM
    const request = {
      transactionalId: reader.nullableString(flexible),
      acks: reader.int16(),
      timeoutMs: reader.int32(),
      topicData: reader.array(flexible, () => {
        const topic = {
          name: version >= 13 ? '' : reader.string(flexible),
          topicId: version >= 13 ? reader.uuid() : ZERO_UUID,
          partitionData: reader.array(flexible, () => {
            const index = reader.int32()
            const records = reader.records(flexible)
            if (flexible) reader.skipTaggedFields()
            return { index, records: records === null ? null : [records] }
          }),
        }
        if (flexible) reader.skipTaggedFields()
        return topic
      }),
    }
    if (flexible) reader.skipTaggedFields()
    return request
  },

  encodeResponse(writer, response, version) {
    const flexible = version >= FLEXIBLE_FROM
    writer.array(response.responses, flexible, (topic) => {
      if (version >= 13) writer.uuid(topic.topicId)
      else writer.string(topic.name, flexible)
      writer.array(topic.partitionResponses, flexible, (partition) => {
        writer.int32(partition.index).int16(partition.errorCode).int64(partition.baseOffset)
        writer.int64(partition.logAppendTimeMs)
        if (version >= 5) writer.int64(partition.logStartOffset)
        if (version >= 8) {
          writer.array(partition.recordErrors, flexible, (recordError) => {
            writer.int32(recordError.batchIndex).nullableString(recordError.batchIndexErrorMessage, flexible)
            if (flexible) writer.taggedFields()
          })
          writer.nullableString(partition.errorMessage, flexible)
        }
        const leader = currentLeaderTag(partition.currentLeader)
        if (version < 10 && leader.length > 0) throw fieldNotIn('Produce response', version, 'currentLeader')
        if (flexible) writer.taggedFields(leader)
      })
      if (flexible) writer.taggedFields()
    })
    writer.int32(response.throttleTimeMs)
    const endpoints = nodeEndpointsTag(response.nodeEndpoints)
    if (version < 10 && endpoints.length > 0) throw fieldNotIn('Produce response', version, 'nodeEndpoints')
    if (flexible) writer.taggedFields(endpoints)
  },

  decodeResponse(reader, version) {
    const flexible = version >= FLEXIBLE_FROM
    const response = {
      responses: reader.array(flexible, () => {
        const topic = {
          name: version >= 13 ? '' : reader.string(flexible),
          topicId: version >= 13 ? reader.uuid() : ZERO_UUID,
          partitionResponses: reader.array(flexible, () => decodePartition(reader, version)),
        }
        if (flexible) reader.skipTaggedFields()
        return topic
      }),
      throttleTimeMs: reader.int32(),
      nodeEndpoints: [] as ProduceResponse['nodeEndpoints'],
    }
    if (version >= 10) {
      reader.knownTaggedFields({
        [NODE_ENDPOINTS_TAG]: (field) => {
          response.nodeEndpoints = field.array(true, () => {
            const endpoint = {
              nodeId: field.int32(),
              host: field.string(true),
              port: field.int32(),
              rack: field.nullableString(true),
            }
            field.skipTaggedFields()
            return endpoint
          })
        },
      })
    } else if (flexible) reader.skipTaggedFields()
    return response
  },
}

function decodePartition(reader: Reader, version: number): PartitionProduceResponse {
  const flexible = version >= FLEXIBLE_FROM
  const partition = {
    index: reader.int32(),
    errorCode: reader.int16(),
    baseOffset: reader.int64(),
    logAppendTimeMs: reader.int64(),
    logStartOffset: version >= 5 ? reader.int64() : Long.NEG_ONE,
    recordErrors: version >= 8 ? reader.array(flexible, () => decodeRecordError(reader, flexible)) : [],
    errorMessage: version >= 8 ? reader.nullableString(flexible) : null,
    currentLeader: LEADER_NOT_SAID,
  }
  if (version >= 10) {
    reader.knownTaggedFields({
      [CURRENT_LEADER_TAG]: (field) => {
        partition.currentLeader = { leaderId: field.int32(), leaderEpoch: field.int32() }
        field.skipTaggedFields()
      },
    })
  } else if (flexible) reader.skipTaggedFields()
  return partition
}

function decodeRecordError(reader: Reader, flexible: boolean): PartitionProduceResponse['recordErrors'][number] {
  const recordError = { batchIndex: reader.int32(), batchIndexErrorMessage: reader.nullableString(flexible) }
  if (flexible) reader.skipTaggedFields()
  return recordError
}

function currentLeaderTag({ leaderId, leaderEpoch }: LeaderIdAndEpoch): TaggedField[] {
  if (leaderId === -1 && leaderEpoch === -1) return []
  return [{ tag: CURRENT_LEADER_TAG, data: new Writer(16).int32(leaderId).int32(leaderEpoch).taggedFields().finish() }]
}

function nodeEndpointsTag(endpoints: ProduceResponse['nodeEndpoints']): TaggedField[] {
  if (endpoints.length === 0) return []
  const field = new Writer()
  field.array(endpoints, true, (endpoint) => {
    field.int32(endpoint.nodeId).string(endpoint.host, true).int32(endpoint.port)
    field.nullableString(endpoint.rack, true).taggedFields()
  })
  return [{ tag: NODE_ENDPOINTS_TAG, data: field.finish() }]
}
