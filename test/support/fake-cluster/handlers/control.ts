// ApiVersions, InitProducerId and CreateTopics, the broker's side: the small ones.
// From: broker.ts. To: topics.ts and the cluster's counter of producer ids.
import Long from 'long'
import { ZERO_UUID } from '../../../../src/protocol/api.ts'
import type { ApiVersionsResponse } from '../../../../src/protocol/messages/api-versions.ts'
import type { CreatableTopicResult, CreateTopicsResponse } from '../../../../src/protocol/messages/create-topics.ts'
import type { InitProducerIdResponse } from '../../../../src/protocol/messages/init-producer-id.ts'
import { apisByName, errorCode } from '../apis.ts'
import type { Plan } from '../faults.ts'
import type { LoggedRequest } from '../request-log.ts'
import { isTopicName } from '../topics.ts'
import type { ClusterView } from '../view.ts'

const plannedError = (plan: Plan): number => {
  const effect = plan.outcome()
  return effect?.kind === 'error' ? errorCode(effect.error) : 0
}

export function answerApiVersions(view: ClusterView, plan: Plan): ApiVersionsResponse {
  const failure = plannedError(plan)
  return {
    errorCode: failure,
    apiKeys: failure === 0 ? offered(view) : [],
    throttleTimeMs: plan.throttleTimeMs,
    supportedFeatures: [],
    finalizedFeaturesEpoch: Long.NEG_ONE,
    finalizedFeatures: [],
    zkMigrationReady: false,
  }
}

/** To a version that is not offered, always in the shape of version 0: what is offered of ApiVersions itself. */
export function refuseApiVersions(view: ClusterView): ApiVersionsResponse {
  const own = offered(view).filter((api) => api.apiKey === apisByName.ApiVersions.key)
  return {
    errorCode: errorCode('UNSUPPORTED_VERSION'),
    apiKeys: own,
    throttleTimeMs: 0,
    supportedFeatures: [],
    finalizedFeaturesEpoch: Long.NEG_ONE,
    finalizedFeatures: [],
    zkMigrationReady: false,
  }
}

function offered(view: ClusterView): ApiVersionsResponse['apiKeys'] {
  return [...view.offered].map(([name, range]) => ({
    apiKey: apisByName[name].key,
    minVersion: range.min,
    maxVersion: range.max,
  }))
}

/** Without a transactional id every call gives a new producer id at epoch 0, whatever id and epoch the client had (KIP-360). */
export function answerInitProducerId(
  view: ClusterView,
  request: LoggedRequest<'InitProducerId'>,
  plan: Plan,
): InitProducerIdResponse {
  const code = request.request.transactionalId === null ? plannedError(plan) : errorCode('INVALID_REQUEST')
  const failed = code !== 0
  return {
    throttleTimeMs: plan.throttleTimeMs,
    errorCode: code,
    producerId: failed ? Long.NEG_ONE : Long.fromNumber(view.nextProducerId()),
    producerEpoch: failed ? -1 : 0,
  }
}

export function answerCreateTopics(
  view: ClusterView,
  request: LoggedRequest<'CreateTopics'>,
  plan: Plan,
): CreateTopicsResponse {
  return {
    throttleTimeMs: plan.throttleTimeMs,
    topics: request.request.topics.map((asked): CreatableTopicResult => {
      const effect = plan.topicOutcome(asked.name)
      const error =
        effect?.kind === 'error'
          ? effect.error
          : !isTopicName(asked.name)
            ? 'INVALID_TOPIC_EXCEPTION'
            : view.topics.find(asked.name) !== undefined
              ? 'TOPIC_ALREADY_EXISTS'
              : 'NONE'
      const partitions = asked.numPartitions === -1 ? 1 : asked.numPartitions
      const topic =
        error === 'NONE' && !request.request.validateOnly
          ? view.topics.create(asked.name, {
              partitions,
              ...(asked.replicationFactor === -1 ? {} : { replicationFactor: asked.replicationFactor }),
            })
          : undefined
      return {
        name: asked.name,
        topicId: topic?.id ?? ZERO_UUID,
        errorCode: errorCode(error),
        errorMessage: null,
        topicConfigErrorCode: 0,
        numPartitions: topic?.partitions.length ?? -1,
        replicationFactor: topic?.partitions[0]?.replicas.length ?? -1,
        configs: [],
      }
    }),
  }
}
