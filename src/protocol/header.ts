// Headers: what stands around a body. A request frame is int32 size, header v1 or v2, body; a response frame is int32 size, header v0
// or v1, body.
//   request  v1: api key i16, api version i16, correlation id i32, client id nullable string    v2: the same, then tagged fields
//   response v0: correlation id i32                                                             v1: the same, then tagged fields
// The client id keeps its int16 length in v2, and ApiVersions answers with v0 at every version: both so that a peer of another age can
// read them before versions are agreed.
// From: messages/*.ts. To: net/connection.ts, and the broker side of the tests.
import { KafkaError, kafkaError } from '../errors.ts'
import { type Api, assertVersion } from './api.ts'
import { apiVersions } from './messages/api-versions.ts'
import { createTopics } from './messages/create-topics.ts'
import { initProducerId } from './messages/init-producer-id.ts'
import { metadata } from './messages/metadata.ts'
import { produce } from './messages/produce.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

const flexibleFromByKey: ReadonlyMap<number, number> = new Map(
  [produce, metadata, apiVersions, createTopics, initProducerId].map((api) => [api.key, api.flexibleFrom]),
)

export interface RequestHeader {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
}

/** A whole request as segments that go out in this order; the first begins with the size of all. Record segments are linked. */
export function encodeRequestFrame<Request, Response>(
  api: Api<Request, Response>,
  request: Request,
  head: { readonly version: number; readonly correlationId: number; readonly clientId: string | null },
): Uint8Array[] {
  assertVersion(api, head.version)
  const writer = new Writer(512)
  writer.int32(0).int16(api.key).int16(head.version).int32(head.correlationId).nullableString(head.clientId, false)
  if (head.version >= api.flexibleFrom) writer.taggedFields()
  api.encodeRequest(writer, request, head.version)
  return sized(writer)
}

/** A whole response, as a broker sends it. */
export function encodeResponseFrame<Request, Response>(
  api: Api<Request, Response>,
  response: Response,
  head: { readonly version: number; readonly correlationId: number },
): Uint8Array[] {
  assertVersion(api, head.version)
  const writer = new Writer(512)
  writer.int32(0).int32(head.correlationId)
  if (hasTaggedResponseHeader(api, head.version)) writer.taggedFields()
  api.encodeResponse(writer, response, head.version)
  return sized(writer)
}

/** `reader` stands behind the size. The tagged fields of a header of an API that is not ours stay unread. */
export function decodeRequestHeader(reader: Reader): RequestHeader {
  const header = {
    apiKey: reader.int16(),
    apiVersion: reader.int16(),
    correlationId: reader.int32(),
    clientId: reader.nullableString(false),
  }
  const flexibleFrom = flexibleFromByKey.get(header.apiKey)
  if (flexibleFrom !== undefined && header.apiVersion >= flexibleFrom) reader.skipTaggedFields()
  return header
}

/** @param frame Everything behind the int32 size. */
export function correlationIdOf(frame: Uint8Array): number {
  return new Reader(frame).int32()
}

/**
 * The body of an answer to a request of this API and version, which must end where the frame ends.
 *
 * @param frame Everything behind the int32 size, the correlation id included. Byte values in the result are views on it.
 * @throws PROTOCOL_ERROR naming API, version and offset in `frame`.
 */
export function decodeResponseBody<Request, Response>(
  api: Api<Request, Response>,
  version: number,
  frame: Uint8Array,
): Response {
  assertVersion(api, version)
  try {
    const reader = new Reader(frame)
    reader.int32()
    if (hasTaggedResponseHeader(api, version)) reader.skipTaggedFields()
    const response = api.decodeResponse(reader, version)
    reader.expectEnd()
    return response
  } catch (error) {
    if (!(error instanceof KafkaError && error.code === 'PROTOCOL_ERROR')) throw error
    const message = `${api.name} v${version} response of ${frame.length} bytes: ${error.message}`
    throw kafkaError('PROTOCOL_ERROR', message, { cause: error })
  }
}

function hasTaggedResponseHeader(api: Pick<Api<never, unknown>, 'key' | 'flexibleFrom'>, version: number): boolean {
  return api.key !== apiVersions.key && version >= api.flexibleFrom
}

function sized(writer: Writer): Uint8Array[] {
  const segments = writer.segments()
  const first = segments[0]!
  // Behind the size, which does not count itself.
  new DataView(first.buffer, first.byteOffset, 4).setInt32(0, writer.byteLength - 4)
  return segments
}
