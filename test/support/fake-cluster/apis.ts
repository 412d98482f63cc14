// Apis: which of Kafka's APIs a fake broker speaks, by name and by key, and what its ApiVersions answer says of them.
// From: src/protocol, so that both sides speak through one code. To: broker.ts, handlers/, faults.ts.
import type { Api, VersionRange } from '../../../src/protocol/api.ts'
import { brokerErrors } from '../../../src/protocol/error-codes.ts'
import {
  type ApiVersionsRequest,
  type ApiVersionsResponse,
  apiVersions,
} from '../../../src/protocol/messages/api-versions.ts'
import {
  type CreateTopicsRequest,
  type CreateTopicsResponse,
  createTopics,
} from '../../../src/protocol/messages/create-topics.ts'
import {
  type InitProducerIdRequest,
  type InitProducerIdResponse,
  initProducerId,
} from '../../../src/protocol/messages/init-producer-id.ts'
import { type MetadataRequest, type MetadataResponse, metadata } from '../../../src/protocol/messages/metadata.ts'
import { type ProduceRequest, type ProduceResponse, produce } from '../../../src/protocol/messages/produce.ts'

export interface RequestOf {
  readonly Produce: ProduceRequest
  readonly Metadata: MetadataRequest
  readonly ApiVersions: ApiVersionsRequest
  readonly InitProducerId: InitProducerIdRequest
  readonly CreateTopics: CreateTopicsRequest
}

export interface ResponseOf {
  readonly Produce: ProduceResponse
  readonly Metadata: MetadataResponse
  readonly ApiVersions: ApiVersionsResponse
  readonly InitProducerId: InitProducerIdResponse
  readonly CreateTopics: CreateTopicsResponse
}

export type ApiName = keyof RequestOf

export const apisByName: { readonly [Name in ApiName]: Api<RequestOf[Name], ResponseOf[Name]> } = {
  Produce: produce,
  Metadata: metadata,
  ApiVersions: apiVersions,
  InitProducerId: initProducerId,
  CreateTopics: createTopics,
}

const names = Object.keys(apisByName) as readonly ApiName[]
const namesByKey: ReadonlyMap<number, ApiName> = new Map(names.map((name) => [apisByName[name].key, name]))

export const apiNameOf = (apiKey: number): ApiName | undefined => namesByKey.get(apiKey)

/** A cap on the newest version, a range of its own, or `null`: not offered at all. What is not named is all that we speak. */
export type OfferedVersions = { readonly [Name in ApiName]?: number | VersionRange | null }

/** What a broker says that it speaks. It serves exactly this, except that Produce 0 to 2 are named and refused, as 4.x does. */
export function offeredRanges(versions: OfferedVersions = {}): ReadonlyMap<ApiName, VersionRange> {
  const ranges = new Map<ApiName, VersionRange>()
  for (const name of names) {
    const wanted = versions[name]
    if (wanted === null) continue
    const own = apisByName[name].versions
    // KAFKA-18659: brokers from 4.0 on name Produce from 0 for the sake of old librdkafka, although they refuse 0 to 2.
    const whole = name === 'Produce' ? { min: 0, max: own.max } : own
    ranges.set(name, wanted === undefined ? whole : typeof wanted === 'number' ? { ...whole, max: wanted } : wanted)
  }
  return ranges
}

const codesByName: ReadonlyMap<string, number> = new Map(brokerErrors.map((error) => [error.name, error.code]))

/** The number of an error that a test names: a misspelt one must not pass for "no error". */
export function errorCode(name: string): number {
  const code = codesByName.get(name)
  if (code === undefined) throw new Error(`Kafka has no error named ${name}`)
  return code
}
