// A process of its own: opens a connection to the port in its arguments, asks once, and then has nothing more to do. It must end by
// itself, with the connection still open. From: connection-open.test.ts.
import { systemClock } from '../../src/clock.ts'
import { Connection } from '../../src/net/connection.ts'
import { tcpDial } from '../../src/net/dial.ts'
import { probe } from './probe.ts'
import { RecordingLog } from './recording-log.ts'

const connection = await Connection.open(
  { host: '127.0.0.1', port: Number(process.argv[2]) },
  {
    clientId: 'idle',
    requestTimeoutMs: 30_000,
    setupTimeoutMs: 10_000,
    dial: tcpDial,
    clock: systemClock,
    brokerName: 'the test',
    log: new RecordingLog(),
  },
  new AbortController().signal,
)
console.log('open')
// Nothing but the request keeps the process alive here.
const answer = await connection.request(probe, { value: 1 })
console.log(`answer ${answer}`)
console.log(connection.state.kind === 'open' ? 'idle' : 'closed')
