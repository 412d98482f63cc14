// Handshake: the first thing said on a connection. Asks the broker which versions of which API it speaks, until both understand.
// From: connection.ts, which does the asking. To: connection.ts: a range of versions for each API key.
//
//   we ask at our newest     0   the list                                              done
//                            35  "not that version", in the shape of v0                ask lower: what the answer names, or 0
//                            the connection is closed without a word (Azure Event      a new connection that begins at v3
//                                Hubs at v4), see `versionAfterReset`
import { kafkaError } from '../errors.ts'
import type { VersionRange } from '../protocol/api.ts'
import { brokerError } from '../protocol/error-codes.ts'
import {
  type ApiVersionsRequest,
  type ApiVersionsResponse,
  apiVersions,
  versionAfterRefusal,
  versionRanges,
} from '../protocol/messages/api-versions.ts'

/** Who we say we are (KIP-511); a test holds the version to package.json's. */
export const clientSoftware: ApiVersionsRequest = { clientSoftwareName: 'kafka-wire', clientSoftwareVersion: '0.1.0' }

const UNSUPPORTED_VERSION = 35
const FIRST_VERSION_THAT_IS_RESET = 4

export type AskVersions = (version: number) => Promise<ApiVersionsResponse>

/**
 * Agrees on versions, beginning at `firstVersion`. Each refusal leads to a strictly lower version, so it ends.
 *
 * @throws What `ask` throws; UNSUPPORTED_VERSION when not even v0 is understood; PROTOCOL_ERROR for an answer that names no API; the
 *   broker's own error, by its name.
 */
export async function negotiateVersions(
  ask: AskVersions,
  firstVersion: number,
  brokerName: string,
): Promise<ReadonlyMap<number, VersionRange>> {
  let version: number | undefined = firstVersion
  while (version !== undefined) {
    const answer = await ask(version)
    if (answer.errorCode !== UNSUPPORTED_VERSION) return rangesOf(answer, brokerName)
    version = versionAfterRefusal(answer, version)
  }
  throw kafkaError('UNSUPPORTED_VERSION', `${brokerName} refused every version of ApiVersions, down to 0`, {
    broker: brokerName,
    hint: 'Kafka 2.1 or later is needed',
  })
}

/** Where a new connection should begin after the peer closed one that asked at `version`; `undefined`: that was not the reason. */
export function versionAfterReset(version: number): number | undefined {
  return version >= FIRST_VERSION_THAT_IS_RESET ? FIRST_VERSION_THAT_IS_RESET - 1 : undefined
}

function rangesOf(answer: ApiVersionsResponse, brokerName: string): ReadonlyMap<number, VersionRange> {
  if (answer.errorCode !== 0) {
    const error = brokerError(answer.errorCode)
    throw kafkaError(error.name, `${brokerName} refused ${apiVersions.name}: ${error.meaning}`, {
      broker: brokerName,
      retriable: error.retriable,
    })
  }
  if (answer.apiKeys.length === 0) {
    throw kafkaError('PROTOCOL_ERROR', `${brokerName} says that it speaks no API at all`, { broker: brokerName })
  }
  return versionRanges(answer)
}
