// InitProducerId (key 22), versions 0 to 5: asks for the producer id and epoch that idempotence needs (KIP-98).
//   v1 throttles after the answer   v2 flexible   v3 sends the id and epoch held so far (KIP-360)   v4 may answer PRODUCER_FENCED
//   v5 may answer TRANSACTION_ABORTABLE (KIP-890). Version 6 (KIP-939) is marked unstable by Kafka.
// From: producer/sequences.ts. To: header.ts.
import Long from 'long'
import { type Api, fieldNotIn } from '../api.ts'

export interface InitProducerIdRequest {
  readonly transactionalId: string | null
  readonly transactionTimeoutMs: number
  /** -1: none yet. */
  readonly producerId: Long
  readonly producerEpoch: number
}

export interface InitProducerIdResponse {
  readonly throttleTimeMs: number
  readonly errorCode: number
  readonly producerId: Long
  readonly producerEpoch: number
}

const FLEXIBLE_FROM = 2

export const initProducerId: Api<InitProducerIdRequest, InitProducerIdResponse> = {
  name: 'InitProducerId',
  key: 22,
  versions: { min: 0, max: 5 },
  flexibleFrom: FLEXIBLE_FROM,

  encodeRequest(writer, request, version) {
    const flexible = version >= FLEXIBLE_FROM
    writer.nullableString(request.transactionalId, flexible).int32(request.transactionTimeoutMs)
    if (version >= 3) writer.int64(request.producerId).int16(request.producerEpoch)
    else if (!request.producerId.equals(-1)) throw fieldNotIn('InitProducerId request', version, 'producerId')
    else if (request.producerEpoch !== -1) throw fieldNotIn('InitProducerId request', version, 'producerEpoch')
    if (flexible) writer.taggedFields()
  },

  decodeRequest(reader, version) {
    const flexible = version >= FLEXIBLE_FROM
    const request = {
      transactionalId: reader.nullableString(flexible),
      transactionTimeoutMs: reader.int32(),
      producerId: version >= 3 ? reader.int64() : Long.NEG_ONE,
      producerEpoch: version >= 3 ? reader.int16() : -1,
    }
    if (flexible) reader.skipTaggedFields()
    return request
  },

  encodeResponse(writer, response, version) {
    writer.int32(response.throttleTimeMs).int16(response.errorCode)
    writer.int64(response.producerId).int16(response.producerEpoch)
    if (version >= FLEXIBLE_FROM) writer.taggedFields()
  },

  decodeResponse(reader, version) {
    const response = {
      throttleTimeMs: reader.int32(),
      errorCode: reader.int16(),
      producerId: reader.int64(),
      producerEpoch: reader.int16(),
    }
    if (version >= FLEXIBLE_FROM) reader.skipTaggedFields()
    return response
  },
}
