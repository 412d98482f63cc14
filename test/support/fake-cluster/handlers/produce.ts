// Produce, the broker's side: each partition of a request is checked, stored and answered for itself.
// From: broker.ts. To: partition-log.ts. The order of the checks is Kafka's: topic, leader, batch, sequence.
import Long from 'long'
import type { PartitionProduceResponse, ProduceResponse } from '../../../../src/protocol/messages/produce.ts'
import { errorCode } from '../apis.ts'
import { checkBatch, type Refusal } from '../batch-check.ts'
import type { Plan } from '../faults.ts'
import type { CarriedBatch, LoggedRequest } from '../request-log.ts'
import type { Partition, Topic } from '../topics.ts'
import type { ClusterView } from '../view.ts'

const LEADER_NOT_SAID = { leaderId: -1, leaderEpoch: -1 }

/** `hasError` is what a broker closes the connection for when acks is 0 and nobody could be told. */
export function answerProduce(
  view: ClusterView,
  request: LoggedRequest<'Produce'>,
  plan: Plan,
): { readonly response: ProduceResponse; readonly hasError: boolean } {
  const leaders = new Set<number>()
  const { topicData, acks } = request.request
  let at = 0
  const responses = topicData.map((asked) => {
    const topic = request.version >= 13 ? view.topics.findById(asked.topicId) : view.topics.find(asked.name)
    const partitionResponses = asked.partitionData.flatMap(() => {
      const answer = answerPartition(view, request, topic, request.batches[at++]!, plan, acks)
      if (answer !== undefined && answer.currentLeader.leaderId !== -1) leaders.add(answer.currentLeader.leaderId)
      return answer ?? []
    })
    return { name: topic?.name ?? asked.name, topicId: asked.topicId, partitionResponses }
  })
  return {
    response: {
      responses: responses.filter((topic) => topic.partitionResponses.length > 0),
      throttleTimeMs: plan.throttleTimeMs,
      nodeEndpoints: view.brokers.filter((broker) => leaders.has(broker.nodeId)),
    },
    hasError: responses.some((topic) => topic.partitionResponses.some((partition) => partition.errorCode !== 0)),
  }
}

function answerPartition(
  view: ClusterView,
  request: LoggedRequest<'Produce'>,
  topic: Topic | undefined,
  carried: CarriedBatch,
  plan: Plan,
  acks: number,
): PartitionProduceResponse | undefined {
  const effect = plan.outcome(carried.topic, carried.partition)
  if (effect?.kind === 'recordErrors') return recordErrors(carried, effect.error, effect.messages, request.version)
  if (effect?.kind === 'error' && effect.phase === 'before') return failed(carried, effect.error)
  if (effect?.kind === 'omit' && effect.phase === 'before') return undefined
  const answer = append(view, request, topic, carried, acks)
  if (effect?.kind === 'omit') return undefined
  return effect?.kind === 'error' ? failed(carried, effect.error) : answer
}

function append(
  view: ClusterView,
  request: LoggedRequest<'Produce'>,
  topic: Topic | undefined,
  carried: CarriedBatch,
  acks: number,
): PartitionProduceResponse {
  if (acks !== 0 && acks !== 1 && acks !== -1) return failed(carried, 'INVALID_REQUIRED_ACKS')
  const partition = topic?.partitions[carried.partition]
  if (topic === undefined || partition === undefined) {
    const byId = request.version >= 13 && topic === undefined
    return failed(carried, byId ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION')
  }
  if (partition.leader !== request.broker) return notLeader(carried, partition, request.version)
  const checked = checkBatch(carried.bytes, topic, request.version)
  if (checked.kind === 'refused') return refused(view, carried, checked, request)
  const appended = partition.log.append(checked.batch, checked.raw, {
    broker: request.broker,
    connection: request.connection,
    produceVersion: request.version,
  })
  if (appended.kind === 'refused') {
    if (appended.expected !== undefined) view.invariants.outOfOrder(request, carried, appended.expected)
    return failed(carried, appended.error, appended.message, request.version)
  }
  return {
    ...failed(carried, 'NONE'),
    baseOffset: Long.fromNumber(appended.baseOffset),
    logAppendTimeMs: Long.fromNumber(topic.logAppendTimeMs ?? -1),
    logStartOffset: request.version >= 5 ? Long.fromNumber(partition.log.startOffset) : Long.NEG_ONE,
  }
}

function failed(
  carried: CarriedBatch,
  error: string,
  message: string | null = null,
  version = 8,
): PartitionProduceResponse {
  return {
    index: carried.partition,
    errorCode: errorCode(error),
    baseOffset: Long.NEG_ONE,
    logAppendTimeMs: Long.NEG_ONE,
    logStartOffset: Long.NEG_ONE,
    recordErrors: [],
    errorMessage: version >= 8 ? message : null,
    currentLeader: LEADER_NOT_SAID,
  }
}

// KIP-951: from version 10 on the answer says who leads now, and where that broker is.
function notLeader(carried: CarriedBatch, partition: Partition, version: number): PartitionProduceResponse {
  const { leader: leaderId, leaderEpoch } = partition
  const currentLeader = version >= 10 ? { leaderId, leaderEpoch } : LEADER_NOT_SAID
  return { ...failed(carried, 'NOT_LEADER_OR_FOLLOWER'), currentLeader }
}

function refused(
  view: ClusterView,
  carried: CarriedBatch,
  refusal: Refusal,
  request: LoggedRequest<'Produce'>,
): PartitionProduceResponse {
  if (refusal.isViolation) {
    view.reportViolation(`${carried.topic}-${carried.partition}: ${refusal.error}, ${refusal.message}`)
  }
  if (Object.keys(refusal.records).length > 0) {
    return recordErrors(carried, refusal.error, refusal.records, request.version)
  }
  return failed(carried, refusal.error, refusal.message, request.version)
}

function recordErrors(
  carried: CarriedBatch,
  error: string,
  messages: Readonly<Record<number, string>>,
  version: number,
): PartitionProduceResponse {
  const answer = failed(carried, error)
  if (version < 8) return answer
  return {
    ...answer,
    errorMessage: 'One or more records have been rejected',
    recordErrors: Object.entries(messages).map(([index, message]) => ({
      batchIndex: Number(index),
      batchIndexErrorMessage: message,
    })),
  }
}
