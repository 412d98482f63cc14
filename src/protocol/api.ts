// Api: what one of Kafka's APIs is to the rest of the code, and which of its versions two sides can speak.
// From: messages/*.ts, one Api each. To: header.ts, net/handshake.ts, net/connection.ts.
import { type KafkaError, kafkaError } from '../errors.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/** Both ends included. */
export interface VersionRange {
  readonly min: number
  readonly max: number
}

/**
 * One API with all its versions, bodies only (headers are header.ts). Both directions of both messages, so that the broker side of
 * the tests speaks through the same code.
 *
 * A field that a version lacks has its schema's default after decoding. A value that a version cannot carry is dropped when the
 * schema calls the field ignorable, otherwise encoding throws `UNSUPPORTED_VERSION`. Unknown tagged fields are skipped.
 */
export interface Api<Request, Response> {
  /** Kafka's name, without `Request` and `Response`. */
  readonly name: string
  readonly key: number
  /** What we speak. */
  readonly versions: VersionRange
  /** From here on lengths are compact and every struct ends in tagged fields (KIP-482). */
  readonly flexibleFrom: number
  encodeRequest(writer: Writer, request: Request, version: number): void
  decodeRequest(reader: Reader, version: number): Request
  encodeResponse(writer: Writer, response: Response, version: number): void
  decodeResponse(reader: Reader, version: number): Response
}

/** What nobody named: the id of no topic. Not to be written to. */
export const ZERO_UUID: Uint8Array = new Uint8Array(16)

/**
 * The highest version that both sides speak, at most `cap`. Always the intersection: brokers from 4.0 on say that they speak Produce
 * from 0 on, which is not so (KAFKA-18659), and no version can be taken for granted.
 *
 * @param brokerRange What the broker said in its ApiVersions answer; `undefined` when it did not name the API.
 * @throws UNSUPPORTED_VERSION naming the API and both ranges.
 */
export function pickVersion(
  api: Pick<Api<never, unknown>, 'name' | 'key' | 'versions'>,
  brokerRange: VersionRange | undefined,
  cap = Number.POSITIVE_INFINITY,
): number {
  const ours = `we speak ${rangeText(api.versions)}${cap < api.versions.max ? `, here at most ${cap}` : ''}`
  if (brokerRange === undefined) {
    throw unsupported(`The broker does not offer ${api.name} (api key ${api.key}), of which ${ours}`)
  }
  const version = Math.min(api.versions.max, brokerRange.max, cap)
  if (version < api.versions.min || version < brokerRange.min) {
    throw unsupported(`No common version of ${api.name}: the broker speaks ${rangeText(brokerRange)}, ${ours}`)
  }
  return version
}

/** Guards the doors of encoding and decoding: a version that our code does not know would give wrong bytes, not an error. */
export function assertVersion(api: Pick<Api<never, unknown>, 'name' | 'versions'>, version: number): void {
  if (!Number.isInteger(version) || version < api.versions.min || version > api.versions.max) {
    throw unsupported(`${api.name} v${version} is not one of ours: we speak ${rangeText(api.versions)}`)
  }
}

/** A value was given that the version cannot carry, and that may not be dropped silently. */
export function fieldNotIn(message: string, version: number, field: string): KafkaError {
  return unsupported(`${message} v${version} cannot carry this ${field}`)
}

const rangeText = ({ min, max }: VersionRange): string => (min === max ? `${min}` : `${min} to ${max}`)

const unsupported = (message: string): KafkaError => kafkaError('UNSUPPORTED_VERSION', message)
