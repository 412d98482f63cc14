// The errors of batches that a broker refused, or never answered for: what they say, and the hint that goes with it.
// From: fate.ts. To: the user, by way of the settle queue. Pure.

import { type ErrorDetails, type KafkaError, kafkaError } from '../errors.ts'
import type { BrokerError } from '../protocol/error-codes.ts'
import type { Batch } from './batch.ts'
import type { Answer } from './outcome.ts'

/** What the end of one attempt means to all records of the batch. `where` is the broker's name. */
export function brokerFault(
  fault: BrokerError,
  batch: Batch,
  answer: Answer,
  where: string,
  details: ErrorDetails,
): KafkaError {
  const place = `${batch.topicName}-${batch.partitionIndex}`
  if (answer.kind !== 'answered') return noAnswer(batch, answer, place, where, details)
  const said = answer.recordErrors[0]?.batchIndexErrorMessage || answer.errorMessage || fault.meaning
  return kafkaError(fault.name, `${where} refused ${the(batch)} for ${place}: ${said}`, {
    topic: batch.topicName,
    partition: batch.partitionIndex,
    broker: where,
    hint: hintFor(fault.name, batch),
    retriable: fault.retriable,
    ...details,
  })
}

/** The broker found fault with one record of the batch (KIP-467). */
export function recordFault(fault: BrokerError, batch: Batch, said: string, where: string): KafkaError {
  const { topicName: topic, partitionIndex: partition, attempts } = batch
  const message = `${where} refused this record for ${topic}-${partition}: ${said}`
  return kafkaError(fault.name, message, { topic, partition, broker: where, attempts })
}

/** The leader has refused the sequence of a batch that may be in the log, and what could have told whether it is there has failed. */
export function nobodyCanSay(batch: Batch): KafkaError {
  const { topicName: topic, partitionIndex: partition, attempts, lastError } = batch
  return kafkaError(
    'OUT_OF_ORDER_SEQUENCE_NUMBER',
    `the leader of ${topic}-${partition} cannot say any more whether it has ${the(batch)} that it never acknowledged`,
    { topic, partition, attempts, persisted: 'possibly', cause: lastError ?? undefined },
  )
}

/** The connection ended, or the answer passed the batch over: the error says so in the connection's own words. */
function noAnswer(
  batch: Batch,
  answer: Exclude<Answer, { kind: 'answered' }>,
  place: string,
  where: string,
  details: ErrorDetails,
): KafkaError {
  const cause = answer.kind === 'lost' ? answer.cause : undefined
  const why = answer.kind === 'missing' ? `${where} answered the request without a word about it` : cause?.message
  return kafkaError(
    cause?.code ?? 'NETWORK_EXCEPTION',
    `no answer for ${the(batch)} for ${place}: ${why ?? `${where} went away`}`,
    {
      topic: batch.topicName,
      partition: batch.partitionIndex,
      broker: where,
      cause,
      ...details,
    },
  )
}

function hintFor(name: string, batch: Batch): string | undefined {
  switch (name) {
    case 'MESSAGE_TOO_LARGE':
      return `The record takes ${batch.byteLength} bytes with its batch header; raise max.message.bytes of topic ${batch.topicName}, or send less.`
    case 'TOPIC_AUTHORIZATION_FAILED':
      return `Grant Write on topic ${batch.topicName} to this client.`
    case 'CLUSTER_AUTHORIZATION_FAILED':
      return 'Grant IdempotentWrite on the cluster, or set enableIdempotence to false.'
    case 'INVALID_TIMESTAMP':
      return 'Timestamps are milliseconds since 1970; look at message.timestamp.before.max.ms and .after.max.ms of the topic.'
    case 'NOT_ENOUGH_REPLICAS':
      return 'Fewer replicas are in sync than min.insync.replicas asks for with acks all.'
    default:
      return undefined
  }
}

const the = ({ count }: Batch): string => (count === 1 ? 'the record' : `the batch of ${count} records`)
