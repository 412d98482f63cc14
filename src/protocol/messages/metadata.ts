// Metadata (key 3), versions 0 to 13: which brokers there are, and who leads each partition of the topics asked for.
//   v1 null topics = all, rack, controller, internal   v2 cluster id   v3 throttle time   v4 auto-creation is asked for
//   v5 offline replicas   v6 throttles after the answer   v7 leader epoch (KIP-320)   v8 authorized operations (KIP-430)
//   v9 flexible   v10 topic id (KIP-516)   v11 without the cluster's operations (KIP-700)   v12 topics asked for by id
//   v13 error of the whole answer (KIP-1102)
// From: net/cluster.ts. To: header.ts.
import { type Api, fieldNotIn, ZERO_UUID } from '../api.ts'

export interface MetadataRequest {
  /** `null`: all topics. Empty: none, but all in version 0, which has no `null`. */
  readonly topics:
    | readonly {
        readonly topicId: Uint8Array
        readonly name: string | null
      }[]
    | null
  readonly allowAutoTopicCreation: boolean
  readonly includeClusterAuthorizedOperations: boolean
  readonly includeTopicAuthorizedOperations: boolean
}

export interface MetadataResponse {
  readonly throttleTimeMs: number
  readonly brokers: readonly {
    readonly nodeId: number
    readonly host: string
    readonly port: number
    readonly rack: string | null
  }[]
  readonly clusterId: string | null
  readonly controllerId: number
  readonly topics: readonly MetadataResponseTopic[]
  /** A bit for each operation; `OPERATIONS_UNKNOWN` when they were not asked for. */
  readonly clusterAuthorizedOperations: number
  readonly errorCode: number
}

export interface MetadataResponseTopic {
  readonly errorCode: number
  /** `null` only for a topic that was asked for by id and does not exist. */
  readonly name: string | null
  readonly topicId: Uint8Array
  readonly isInternal: boolean
  readonly partitions: readonly MetadataResponsePartition[]
  readonly topicAuthorizedOperations: number
}

export interface MetadataResponsePartition {
  readonly errorCode: number
  readonly partitionIndex: number
  readonly leaderId: number
  /** -1 below version 7, and where the broker does not know. */
  readonly leaderEpoch: number
  readonly replicaNodes: readonly number[]
  readonly isrNodes: readonly number[]
  readonly offlineReplicas: readonly number[]
}

export const OPERATIONS_UNKNOWN = -2_147_483_648

const FLEXIBLE_FROM = 9

export const metadata: Api<MetadataRequest, MetadataResponse> = {
  name: 'Metadata',
  key: 3,
  versions: { min: 0, max: 13 },
  flexibleFrom: FLEXIBLE_FROM,

  encodeRequest(writer, request, version) {
    const flexible = version >= FLEXIBLE_FROM
    if (version === 0 && request.topics === null) throw fieldNotIn('Metadata request', version, 'null for topics')
    writer.nullableArray(request.topics, flexible, (topic) => {
      if (version >= 10) writer.uuid(topic.topicId)
      if (version >= 10) writer.nullableString(topic.name, true)
      else if (topic.name !== null) writer.string(topic.name, flexible)
      else throw fieldNotIn('Metadata request', version, 'null for name')
      if (flexible) writer.taggedFields()
    })
    if (version >= 4) writer.boolean(request.allowAutoTopicCreation)
    else if (!request.allowAutoTopicCreation) throw fieldNotIn('Metadata request', version, 'allowAutoTopicCreation')
    if (version >= 8 && version <= 10) writer.boolean(request.includeClusterAuthorizedOperations)
    else if (request.includeClusterAuthorizedOperations) {
      throw fieldNotIn('Metadata request', version, 'includeClusterAuthorizedOperations')
    }
    if (version >= 8) writer.boolean(request.includeTopicAuthorizedOperations)
    else if (request.includeTopicAuthorizedOperations) {
      throw fieldNotIn('Metadata request', version, 'includeTopicAuthorizedOperations')
    }
    if (flexible) writer.taggedFields()
  },

  decodeRequest(reader, version) {
    const flexible = version >= FLEXIBLE_FROM
    const topic = () => {
      const asked = {
        topicId: version >= 10 ? reader.uuid() : ZERO_UUID,
        name: version >= 10 ? reader.nullableString(true) : reader.string(flexible),
      }
      if (flexible) reader.skipTaggedFields()
      return asked
    }
    const request = {
      topics: version >= 1 ? reader.nullableArray(flexible, topic) : reader.array(flexible, topic),
      allowAutoTopicCreation: version >= 4 ? reader.boolean() : true,
      includeClusterAuthorizedOperations: version >= 8 && version <= 10 ? reader.boolean() : false,
      includeTopicAuthorizedOperations: version >= 8 ? reader.boolean() : false,
    }
    if (flexible) reader.skipTaggedFields()
    return request
  },

  encodeResponse(writer, response, version) {
    const flexible = version >= FLEXIBLE_FROM
    if (version >= 3) writer.int32(response.throttleTimeMs)
    writer.array(response.brokers, flexible, (broker) => {
      writer.int32(broker.nodeId).string(broker.host, flexible).int32(broker.port)
      if (version >= 1) writer.nullableString(broker.rack, flexible)
      if (flexible) writer.taggedFields()
    })
    if (version >= 2) writer.nullableString(response.clusterId, flexible)
    if (version >= 1) writer.int32(response.controllerId)
    writer.array(response.topics, flexible, (topic) => {
      writer.int16(topic.errorCode)
      if (version >= 12) writer.nullableString(topic.name, true)
      else if (topic.name !== null) writer.string(topic.name, flexible)
      else throw fieldNotIn('Metadata response', version, 'null for name')
      if (version >= 10) writer.uuid(topic.topicId)
      if (version >= 1) writer.boolean(topic.isInternal)
      writer.array(topic.partitions, flexible, (partition) => {
        writer.int16(partition.errorCode).int32(partition.partitionIndex).int32(partition.leaderId)
        if (version >= 7) writer.int32(partition.leaderEpoch)
        writer.array(partition.replicaNodes, flexible, (nodeId) => writer.int32(nodeId))
        writer.array(partition.isrNodes, flexible, (nodeId) => writer.int32(nodeId))
        if (version >= 5) writer.array(partition.offlineReplicas, flexible, (nodeId) => writer.int32(nodeId))
        if (flexible) writer.taggedFields()
      })
      if (version >= 8) writer.int32(topic.topicAuthorizedOperations)
      else if (topic.topicAuthorizedOperations !== OPERATIONS_UNKNOWN) {
        throw fieldNotIn('Metadata response', version, 'topicAuthorizedOperations')
      }
      if (flexible) writer.taggedFields()
    })
    if (version >= 8 && version <= 10) writer.int32(response.clusterAuthorizedOperations)
    else if (response.clusterAuthorizedOperations !== OPERATIONS_UNKNOWN) {
      throw fieldNotIn('Metadata response', version, 'clusterAuthorizedOperations')
    }
    if (version >= 13) writer.int16(response.errorCode)
    if (flexible) writer.taggedFields()
  },

  decodeResponse(reader, version) {
    const flexible = version >= FLEXIBLE_FROM
    const nodeIds = () => reader.array(flexible, () => reader.int32())
    const response = {
      throttleTimeMs: version >= 3 ? reader.int32() : 0,
      brokers: reader.array(flexible, () => {
        const broker = {
          nodeId: reader.int32(),
          host: reader.string(flexible),
          port: reader.int32(),
          rack: version >= 1 ? reader.nullableString(flexible) : null,
        }
        if (flexible) reader.skipTaggedFields()
        return broker
      }),
      clusterId: version >= 2 ? reader.nullableString(flexible) : null,
      controllerId: version >= 1 ? reader.int32() : -1,
      topics: reader.array(flexible, () => {
        const topic = {
          errorCode: reader.int16(),
          name: version >= 12 ? reader.nullableString(true) : reader.string(flexible),
          topicId: version >= 10 ? reader.uuid() : ZERO_UUID,
          isInternal: version >= 1 ? reader.boolean() : false,
          partitions: reader.array(flexible, () => {
            const partition = {
              errorCode: reader.int16(),
              partitionIndex: reader.int32(),
              leaderId: reader.int32(),
              leaderEpoch: version >= 7 ? reader.int32() : -1,
              replicaNodes: nodeIds(),
              isrNodes: nodeIds(),
              offlineReplicas: version >= 5 ? nodeIds() : [],
            }
            if (flexible) reader.skipTaggedFields()
            return partition
          }),
          topicAuthorizedOperations: version >= 8 ? reader.int32() : OPERATIONS_UNKNOWN,
        }
        if (flexible) reader.skipTaggedFields()
        return topic
      }),
      clusterAuthorizedOperations: version >= 8 && version <= 10 ? reader.int32() : OPERATIONS_UNKNOWN,
      errorCode: version >= 13 ? reader.int16() : 0,
    }
    if (flexible) reader.skipTaggedFields()
    return response
  },
}
