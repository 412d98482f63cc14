// Metadata, the broker's side. A new topic is created when the request and the cluster both allow it; as in KRaft, the answer that starts
// its creation does not know it yet.
// From: broker.ts. To: topics.ts.
import { ZERO_UUID } from '../../../../src/protocol/api.ts'
import {
  type MetadataResponse,
  type MetadataResponsePartition,
  type MetadataResponseTopic,
  OPERATIONS_UNKNOWN,
} from '../../../../src/protocol/messages/metadata.ts'
import { errorCode } from '../apis.ts'
import type { Plan } from '../faults.ts'
import type { LoggedRequest } from '../request-log.ts'
import { isTopicName, type Partition, type Topic } from '../topics.ts'
import type { ClusterView } from '../view.ts'

export function answerMetadata(view: ClusterView, request: LoggedRequest<'Metadata'>, plan: Plan): MetadataResponse {
  const { topics: asked, allowAutoTopicCreation } = request.request
  // Version 0 has no null: there an empty list asks for all.
  const wantsAll = asked === null || (request.version === 0 && asked.length === 0)
  const topics = wantsAll
    ? view.topics.all.filter((topic) => !topic.isHidden).map((topic) => describe(topic, plan))
    : asked.map((each) => {
        const topic = each.name === null ? view.topics.findById(each.topicId) : view.topics.find(each.name)
        if (topic !== undefined && !topic.isHidden) return describe(topic, plan)
        if (each.name === null) return unknown(null, each.topicId, 'UNKNOWN_TOPIC_ID')
        return missing(view, each.name, allowAutoTopicCreation, plan)
      })
  return {
    throttleTimeMs: plan.throttleTimeMs,
    brokers: view.brokers,
    clusterId: view.clusterId,
    controllerId: view.brokers[0]?.nodeId ?? -1,
    topics,
    clusterAuthorizedOperations: OPERATIONS_UNKNOWN,
    errorCode: 0,
  }
}

function missing(view: ClusterView, name: string, mayCreate: boolean, plan: Plan): MetadataResponseTopic {
  const effect = plan.topicOutcome(name)
  if (effect?.kind === 'error') return unknown(name, ZERO_UUID, effect.error)
  if (!isTopicName(name)) return unknown(name, ZERO_UUID, 'INVALID_TOPIC_EXCEPTION')
  if (mayCreate && view.autoCreatePartitions > 0 && view.topics.find(name) === undefined) {
    view.topics.create(name, { partitions: view.autoCreatePartitions })
  }
  return unknown(name, ZERO_UUID, 'UNKNOWN_TOPIC_OR_PARTITION')
}

function describe(topic: Topic, plan: Plan): MetadataResponseTopic {
  const effect = plan.topicOutcome(topic.name)
  if (effect?.kind === 'error') return unknown(topic.name, topic.id, effect.error)
  return {
    errorCode: 0,
    name: topic.name,
    topicId: topic.id,
    isInternal: false,
    partitions: topic.partitions.flatMap((partition) => {
      const partitionEffect = plan.outcome(topic.name, partition.index)
      if (partitionEffect?.kind === 'omit') return []
      return describePartition(partition, partitionEffect?.kind === 'error' ? partitionEffect.error : undefined)
    }),
    topicAuthorizedOperations: OPERATIONS_UNKNOWN,
  }
}

function describePartition(partition: Partition, error: string | undefined): MetadataResponsePartition {
  const hasLeader = partition.leader !== -1 && error !== 'LEADER_NOT_AVAILABLE'
  return {
    errorCode: errorCode(error ?? (hasLeader ? 'NONE' : 'LEADER_NOT_AVAILABLE')),
    partitionIndex: partition.index,
    leaderId: hasLeader ? partition.leader : -1,
    leaderEpoch: partition.leaderEpoch,
    replicaNodes: partition.replicas,
    isrNodes: partition.inSyncReplicas,
    offlineReplicas: [],
  }
}

const unknown = (name: string | null, topicId: Uint8Array, error: string): MetadataResponseTopic => ({
  errorCode: errorCode(error),
  name,
  topicId,
  isInternal: false,
  partitions: [],
  topicAuthorizedOperations: OPERATIONS_UNKNOWN,
})
