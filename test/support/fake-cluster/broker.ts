// Broker: one listener of the cluster. It understands a request on arrival, and when its turn comes does what the rules of faults.ts say,
// and otherwise what Kafka would do.
// From: fake-cluster.ts. To: connection.ts below it, handlers/ for the answers.

import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:net'
import { KafkaError } from '../../../src/errors.ts'
import { decodeRequestHeader, encodeResponseFrame } from '../../../src/protocol/header.ts'
import { Reader } from '../../../src/protocol/reader.ts'
import { type ApiName, apiNameOf, apisByName, type RequestOf } from './apis.ts'
import { Connection, type Handled, type Reply } from './connection.ts'
import type { Plan } from './faults.ts'
import { answerApiVersions, answerCreateTopics, answerInitProducerId, refuseApiVersions } from './handlers/control.ts'
import { answerMetadata } from './handlers/metadata.ts'
import { answerProduce } from './handlers/produce.ts'
import { batchesOf, type LoggedRequest, topicsOf } from './request-log.ts'
import type { ClusterView } from './view.ts'

export class Broker {
  readonly nodeId: number
  readonly connections = new Set<Connection>()
  readonly #view: ClusterView
  readonly #host: string
  #server: Server | undefined
  #port = 0
  // Grows with each stop: what a stopped broker was still holding back is never done.
  #life = 0
  isHidden = false
  /** What Metadata says instead of the real address. */
  advertised: { readonly host: string; readonly port: number } | undefined

  constructor(nodeId: number, host: string, view: ClusterView) {
    this.nodeId = nodeId
    this.#host = host
    this.#view = view
  }

  get host(): string {
    return this.#host
  }

  /** Stays what it was while the broker is stopped. */
  get port(): number {
    return this.#port
  }

  get isUp(): boolean {
    return this.#server !== undefined
  }

  /** Listens on the port it had, or on a new one. */
  async start(onNewPort = false): Promise<void> {
    if (this.#server !== undefined) throw new Error(`broker ${this.nodeId} is up`)
    const server = createServer((socket) => {
      const connection = new Connection(this.#view.nextConnectionId(), this.nodeId, socket, this, () => {
        this.connections.delete(connection)
        this.#view.invariants.closed(connection.id)
        this.#view.changed()
      })
      this.connections.add(connection)
      this.#view.connected(connection)
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: this.#host, port: onNewPort ? 0 : this.#port }, resolve)
    })
    this.#server = server
    this.#port = (server.address() as AddressInfo).port
    this.#view.changed()
  }

  /** Nobody listens any more, and every connection is reset. */
  async stop(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    this.#life++
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    for (const connection of this.connections) connection.reset()
    await closed
    this.#view.changed()
  }

  receive(connection: Connection, frame: Buffer): Handled | undefined {
    const life = this.#life
    const request = this.#understand(connection, frame)
    if (request === undefined) return undefined
    this.#view.invariants.received(request)
    this.#view.changed()
    return {
      handle: () => this.#handle(request, life).catch((error: unknown) => this.#fail(request, error)),
      done: (reply) => {
        request.outcome = outcomeOf(reply)
        this.#view.invariants.done(request)
        this.#view.changed()
      },
    }
  }

  #understand(connection: Connection, frame: Buffer): LoggedRequest | undefined {
    const where = `broker ${this.nodeId}, connection ${connection.id}`
    try {
      const reader = new Reader(frame)
      const header = decodeRequestHeader(reader)
      const api = apiNameOf(header.apiKey)
      const range = api === undefined ? undefined : this.#view.offered.get(api)
      if (api === undefined || range === undefined) {
        this.#view.reportViolation(`${where}: api key ${header.apiKey} is not offered`)
        return undefined
      }
      const { min, max } = apisByName[api].versions
      const isOffered = header.apiVersion >= Math.max(range.min, min) && header.apiVersion <= Math.min(range.max, max)
      if (!isOffered && api !== 'ApiVersions') {
        this.#view.reportViolation(`${where}: ${api} v${header.apiVersion} is not offered`)
        return undefined
      }
      // A version of ApiVersions from the future cannot be read, and need not be.
      const body = isOffered ? apisByName[api].decodeRequest(reader, header.apiVersion) : noClientSoftware
      if (isOffered) reader.expectEnd()
      return this.#view.requests.enter({
        api,
        version: header.apiVersion,
        broker: this.nodeId,
        connection: connection.id,
        correlationId: header.correlationId,
        clientId: header.clientId,
        receivedAt: performance.now(),
        request: body,
        topics: topicsOf(api, body, this.#view.topics),
        batches: api === 'Produce' ? batchesOf(body as RequestOf['Produce'], this.#view.topics) : [],
        outcome: 'waiting',
      })
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      this.#view.reportViolation(`${where}: ${frame.length} bytes are no request: ${error.message}`)
      return undefined
    }
  }

  async #handle(request: LoggedRequest, life: number): Promise<Reply> {
    const plan = this.#view.faults.planFor(request)
    const { transport } = plan
    if (transport?.kind === 'drop' && transport.phase === 'before') return { kind: 'reset' }
    if (transport?.kind === 'swallow' && transport.phase === 'before') return { kind: 'mute' }
    if (transport?.kind === 'reply') return { kind: 'answer', bytes: [transport.bytes], thenClose: transport.thenClose }
    if (plan.delayBefore !== undefined) await settled(plan.delayBefore)
    if (life !== this.#life) return { kind: 'nothing' }
    const reply = this.#answer(request, plan)
    this.#view.changed()
    if (transport?.kind === 'drop') return { kind: 'reset' }
    if (transport?.kind === 'swallow') return { kind: 'mute' }
    if (plan.delayAfter !== undefined) await settled(plan.delayAfter)
    return reply
  }

  // A rule's own function threw, or the fake is wrong: the test must hear of it, and no answer may pass for one.
  #fail(request: LoggedRequest, error: unknown): Reply {
    this.#view.reportViolation(`the fake broker failed on request ${request.index}: ${String(error)}`)
    return { kind: 'reset' }
  }

  #answer(request: LoggedRequest, plan: Plan): Reply {
    switch (request.api) {
      case 'Produce': {
        const produced = request as LoggedRequest<'Produce'>
        const { response, hasError } = answerProduce(this.#view, produced, plan)
        this.#view.invariants.answered(produced, response)
        // Nobody can be told of an error when no answer is awaited: the broker closes the connection instead.
        if (produced.request.acks === 0) return hasError ? { kind: 'reset' } : { kind: 'nothing' }
        return encode('Produce', produced, response, plan)
      }
      case 'Metadata':
        return encode('Metadata', request, answerMetadata(this.#view, request as LoggedRequest<'Metadata'>, plan), plan)
      case 'ApiVersions': {
        const range = this.#view.offered.get('ApiVersions')!
        const isOffered = request.version >= range.min && request.version <= range.max
        if (isOffered) return encode('ApiVersions', request, answerApiVersions(this.#view, plan), plan)
        return encode('ApiVersions', { ...request, version: 0 }, refuseApiVersions(this.#view), plan)
      }
      case 'InitProducerId':
        return encode(
          'InitProducerId',
          request,
          answerInitProducerId(this.#view, request as LoggedRequest<'InitProducerId'>, plan),
          plan,
        )
      case 'CreateTopics':
        return encode(
          'CreateTopics',
          request,
          answerCreateTopics(this.#view, request as LoggedRequest<'CreateTopics'>, plan),
          plan,
        )
    }
  }
}

const noClientSoftware = { clientSoftwareName: '', clientSoftwareVersion: '' }

function encode<Name extends ApiName, Response>(
  api: Name,
  request: LoggedRequest,
  response: Response,
  plan: Plan,
): Reply {
  const { version, correlationId } = request
  const bytes = encodeResponseFrame(apisByName[api], plan.edit(response) as never, { version, correlationId })
  if (plan.rewrite === undefined) return { kind: 'answer', bytes, thenClose: false }
  return { kind: 'answer', bytes: [plan.rewrite.rewrite(Buffer.concat(bytes))], thenClose: plan.rewrite.thenClose }
}

function outcomeOf(reply: Reply | undefined): LoggedRequest['outcome'] {
  switch (reply?.kind) {
    case 'answer':
      return 'answered'
    case 'nothing':
      return 'silent'
    case 'mute':
      return 'muted'
    default:
      return 'dropped'
  }
}

// A test may release what it holds back by a promise that rejects: released is released.
const settled = (promise: Promise<unknown>): Promise<unknown> => promise.then(nothing, nothing)
const nothing = (): void => undefined
