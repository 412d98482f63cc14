// A network on which answers get lost: while it is muted, what the brokers say is thrown away, and what they are asked still reaches them.
// From: faults.test.ts.
import type { Socket } from 'node:net'
import { type Dial, tcpDial } from '../../../src/net/dial.ts'
import { tappedStream } from './tapped-stream.ts'

export interface MutedDial {
  readonly dial: Dial
  isMuted: boolean
}

export function mutedDial(): MutedDial {
  const muted: MutedDial = {
    isMuted: false,
    dial: async (target) =>
      tappedStream((await tcpDial(target)) as Socket, {
        outgoing: (bytes) => ({ bytes, isLast: false }),
        incoming: (bytes) => ({ bytes: muted.isMuted ? bytes.subarray(0, 0) : bytes, isLast: false }),
      }),
  }
  return muted
}
