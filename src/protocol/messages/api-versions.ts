// ApiVersions (key 18), versions 0 to 4: the first request on a connection, which asks what the broker speaks. KIP-35, KIP-511, KIP-584.
//   v1 throttle time   v2 throttles after the answer   v3 flexible, client software, features   v4 feature versions may begin at 0
// The response header is v0 at every version (header.ts).
// From: net/handshake.ts. To: header.ts.
import Long from 'long'
import { KafkaError } from '../../errors.ts'
import type { Api, VersionRange } from '../api.ts'
import type { Reader } from '../reader.ts'
import { type TaggedField, Writer } from '../writer.ts'

export interface ApiVersionsRequest {
  /** The broker refuses names and versions that do not match `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?` (INVALID_REQUEST). */
  readonly clientSoftwareName: string
  readonly clientSoftwareVersion: string
}

export interface ApiVersionsResponse {
  readonly errorCode: number
  readonly apiKeys: readonly { readonly apiKey: number; readonly minVersion: number; readonly maxVersion: number }[]
  readonly throttleTimeMs: number
  readonly supportedFeatures: readonly {
    readonly name: string
    readonly minVersion: number
    readonly maxVersion: number
  }[]
  /** -1: unknown, and then `finalizedFeatures` says nothing. */
  readonly finalizedFeaturesEpoch: Long
  readonly finalizedFeatures: readonly {
    readonly name: string
    readonly maxVersionLevel: number
    readonly minVersionLevel: number
  }[]
  readonly zkMigrationReady: boolean
}

const FLEXIBLE_FROM = 3
const UNSUPPORTED_VERSION = 35
const SUPPORTED_FEATURES_TAG = 0
const FINALIZED_FEATURES_EPOCH_TAG = 1
const FINALIZED_FEATURES_TAG = 2
const ZK_MIGRATION_READY_TAG = 3

export const apiVersions: Api<ApiVersionsRequest, ApiVersionsResponse> = {
  name: 'ApiVersions',
  key: 18,
  versions: { min: 0, max: 4 },
  flexibleFrom: FLEXIBLE_FROM,

  encodeRequest(writer, request, version) {
    if (version >= 3) {
      writer.string(request.clientSoftwareName, true)
      writer.string(request.clientSoftwareVersion, true)
      writer.taggedFields()
    }
  },

  decodeRequest(reader, version) {
    if (version < 3) return { clientSoftwareName: '', clientSoftwareVersion: '' }
    const request = { clientSoftwareName: reader.string(true), clientSoftwareVersion: reader.string(true) }
    reader.skipTaggedFields()
    return request
  },

  encodeResponse(writer, response, version) {
    const flexible = version >= FLEXIBLE_FROM
    writer.int16(response.errorCode)
    writer.array(response.apiKeys, flexible, (api) => {
      writer.int16(api.apiKey).int16(api.minVersion).int16(api.maxVersion)
      if (flexible) writer.taggedFields()
    })
    if (version >= 1) writer.int32(response.throttleTimeMs)
    if (flexible) writer.taggedFields(responseTags(response))
  },

  decodeResponse(reader, version) {
    const errorCode = reader.int16()
    if (errorCode !== UNSUPPORTED_VERSION) return decodeBody(reader, errorCode, version)
    if (hasShapeOfVersion0(reader)) return decodeBody(reader, errorCode, 0)
    if (canDecode(reader, errorCode, version)) return decodeBody(reader, errorCode, version)
    // librdkafka's mock broker mixes two shapes here. The code alone says enough: ask again at version 0.
    reader.raw(reader.remaining)
    return refusal
  },
}

const refusal: ApiVersionsResponse = {
  errorCode: UNSUPPORTED_VERSION,
  apiKeys: [],
  throttleTimeMs: 0,
  supportedFeatures: [],
  finalizedFeaturesEpoch: Long.NEG_ONE,
  finalizedFeatures: [],
  zkMigrationReady: false,
}

function canDecode(reader: Reader, errorCode: number, version: number): boolean {
  const ahead = reader.ahead()
  try {
    decodeBody(ahead, errorCode, version)
    return ahead.remaining === 0
  } catch (error) {
    if (error instanceof KafkaError && error.code === 'PROTOCOL_ERROR') return false
    throw error
  }
}

function decodeBody(reader: Reader, errorCode: number, version: number): ApiVersionsResponse {
  const flexible = version >= FLEXIBLE_FROM
  const response = {
    errorCode,
    apiKeys: reader.array(flexible, () => {
      const api = { apiKey: reader.int16(), minVersion: reader.int16(), maxVersion: reader.int16() }
      if (flexible) reader.skipTaggedFields()
      return api
    }),
    throttleTimeMs: version >= 1 ? reader.int32() : 0,
    supportedFeatures: [] as ApiVersionsResponse['supportedFeatures'],
    finalizedFeaturesEpoch: Long.NEG_ONE,
    finalizedFeatures: [] as ApiVersionsResponse['finalizedFeatures'],
    zkMigrationReady: false,
  }
  if (flexible) {
    reader.knownTaggedFields({
      [SUPPORTED_FEATURES_TAG]: (field) => {
        response.supportedFeatures = field.array(true, () => {
          const feature = { name: field.string(true), minVersion: field.int16(), maxVersion: field.int16() }
          field.skipTaggedFields()
          return feature
        })
      },
      [FINALIZED_FEATURES_EPOCH_TAG]: (field) => {
        response.finalizedFeaturesEpoch = field.int64()
      },
      [FINALIZED_FEATURES_TAG]: (field) => {
        response.finalizedFeatures = field.array(true, () => {
          const feature = { name: field.string(true), maxVersionLevel: field.int16(), minVersionLevel: field.int16() }
          field.skipTaggedFields()
          return feature
        })
      },
      [ZK_MIGRATION_READY_TAG]: (field) => {
        response.zkMigrationReady = field.boolean()
      },
    })
  }
  return response
}

/**
 * The version to ask again with after error 35, from what the answer says about ApiVersions itself, or 0 when it says nothing
 * (brokers before 2.4 send an empty list). Always strictly lower, so that asking ends: `undefined` when there is none left.
 */
export function versionAfterRefusal(response: ApiVersionsResponse, refusedVersion: number): number | undefined {
  const hint = response.apiKeys.find((api) => api.apiKey === apiVersions.key)?.maxVersion ?? 0
  if (hint >= 0 && hint < refusedVersion) return hint
  return refusedVersion > 0 ? 0 : undefined
}

/** What the broker speaks, by API key. */
export function versionRanges(response: ApiVersionsResponse): Map<number, VersionRange> {
  return new Map(response.apiKeys.map((api) => [api.apiKey, { min: api.minVersion, max: api.maxVersion }]))
}

// A broker that does not know the version asked for answers error 35 in the shape of version 0, whatever was asked: a count and six
// bytes for each API, to the end. No later shape has this length.
function hasShapeOfVersion0(reader: Reader): boolean {
  const ahead = reader.ahead()
  return ahead.remaining >= 4 && ahead.int32() * 6 === ahead.remaining
}

function responseTags(response: ApiVersionsResponse): TaggedField[] {
  const tags: TaggedField[] = []
  if (response.supportedFeatures.length > 0) {
    const field = new Writer()
    field.array(response.supportedFeatures, true, (feature) => {
      field.string(feature.name, true).int16(feature.minVersion).int16(feature.maxVersion).taggedFields()
    })
    tags.push({ tag: SUPPORTED_FEATURES_TAG, data: field.finish() })
  }
  if (!response.finalizedFeaturesEpoch.equals(-1)) {
    tags.push({
      tag: FINALIZED_FEATURES_EPOCH_TAG,
      data: new Writer(8).int64(response.finalizedFeaturesEpoch).finish(),
    })
  }
  if (response.finalizedFeatures.length > 0) {
    const field = new Writer()
    field.array(response.finalizedFeatures, true, (feature) => {
      field.string(feature.name, true).int16(feature.maxVersionLevel).int16(feature.minVersionLevel).taggedFields()
    })
    tags.push({ tag: FINALIZED_FEATURES_TAG, data: field.finish() })
  }
  if (response.zkMigrationReady) tags.push({ tag: ZK_MIGRATION_READY_TAG, data: new Writer(1).boolean(true).finish() })
  return tags
}
