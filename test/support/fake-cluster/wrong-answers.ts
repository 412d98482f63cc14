// Wrong answers: what something sends that is no Kafka broker, or a broker that has lost its mind. For `Fault.reply` and `Fault.rewrite`.
// From: tests. The bytes are those of vectors.md section 9 where they have a source there.

/** A web server: the first four bytes read as a length are 1213486160. */
export const httpAnswer: Uint8Array = Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n', 'latin1')

/** A TLS listener to a client that speaks plaintext: alert, TLS 1.2, 2 bytes, fatal, unexpected message. */
export const tlsAlert: Uint8Array = Buffer.from('15030300020232', 'hex')

/** A whole frame in which nothing is right. */
export const garbage: Uint8Array = Buffer.from('00000010ffffffffffffffffffffffffffffffff', 'hex')

/** A frame that says it has 2147483647 bytes, and the beginning of one. */
export const hugeLength: Uint8Array = Buffer.from('7fffffff00000001', 'hex')

/** A frame with a negative length. */
export const negativeLength: Uint8Array = Buffer.from('8000000000000001', 'hex')

/** The answer to a question that nobody asked. */
export function otherCorrelationId(frame: Buffer): Uint8Array {
  const changed = Buffer.from(frame)
  changed.writeInt32BE((frame.readInt32BE(4) + 1000) | 0, 4)
  return changed
}

/** The first half; what comes next on the connection is taken for the rest. */
export const firstHalf = (frame: Buffer): Uint8Array => frame.subarray(0, Math.floor(frame.length / 2))

/** One byte more than the message has. */
export function oneByteTooMany(frame: Buffer): Uint8Array {
  const longer = Buffer.concat([frame, Buffer.of(0)])
  longer.writeInt32BE(frame.readInt32BE(0) + 1, 0)
  return longer
}
