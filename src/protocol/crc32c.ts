// CRC-32C, the checksum of record batches, together with the memory it is fastest over. Three kernels, the best one that the runtime
// allows: WebAssembly with SIMD, WebAssembly without it, and `crc-32/crc32c` where WebAssembly is refused (tables over aligned words
// are only 5 to 20 % faster than that: not worth a second one here). How the fast ones work: kernels/crc32c.wat.
// From: crc32c-wasm.ts, which embeds them. To: src/producer, which keeps its batches in a kernel's arena and sums them when they are
// sealed, and to whoever reads a batch.
import portableCrc32c from 'crc-32/crc32c.js'
import { kafkaError } from '../errors.ts'
import { driverModule, i64LoopsModule, simdLoopsModule } from './crc32c-wasm.ts'

/** Which code runs: 16 bytes a step, 8 bytes a step, or plain JavaScript. */
export type Crc32cKind = 'simd' | 'i64' | 'portable'

/** The raw state (no inversions) after `length` more bytes from `address` on. Addresses above 2^31 wrap as WebAssembly wants them. */
type RawChecksum = (address: number, length: number, state: number) => number

interface LoadedKernel {
  readonly kind: Crc32cKind
  readonly memoryBuffer: ArrayBuffer | undefined
  readonly raw: RawChecksum | undefined
}

const PAGE_BYTES = 65_536
// Page 0 is the kernel's own (tables, windows). Behind it bytes from elsewhere are staged: two pages stay in the second-level cache.
const STAGE_AT = PAGE_BYTES
const STAGE_BYTES = 2 * PAGE_BYTES
const ARENA_AT = STAGE_AT + STAGE_BYTES
// The kernel reads up to 63 bytes behind a message, without using them.
const SPARE_BYTES = 64

const fastestFirst: readonly Crc32cKind[] = ['simd', 'i64', 'portable']

/**
 * A CRC-32C kernel and an arena of a fixed size. Bytes inside the arena are summed where they lie; others are copied in first.
 * Everything is reserved when it is made and nothing grows, so no view of the arena is ever detached.
 */
export class Crc32cKernel {
  readonly kind: Crc32cKind
  /** `arenaBytes` of memory for the owner's use. On the heap where the runtime did not grant a WebAssembly.Memory of that size. */
  readonly arena: Buffer
  /** What the runtime threw when it refused a faster kernel or the arena's memory; undefined when nothing was refused. For the log. */
  readonly refusal: unknown
  readonly #raw: RawChecksum | undefined
  readonly #memoryBuffer: ArrayBuffer | undefined
  readonly #stage: Uint8Array

  /**
   * @param kinds the kernels to try, best first; the last one is tried without a way back.
   * @throws RangeError when there is not even heap memory of that size.
   */
  static create(arenaBytes: number, kinds: readonly Crc32cKind[] = fastestFirst): Crc32cKernel {
    return new Crc32cKernel(arenaBytes, kinds)
  }

  private constructor(arenaBytes: number, kinds: readonly Crc32cKind[]) {
    const { loaded, arenaInside, refusal } = loadFirst(arenaBytes, kinds)
    this.kind = loaded.kind
    this.refusal = refusal
    this.#raw = loaded.raw
    this.#memoryBuffer = loaded.memoryBuffer
    this.#stage =
      loaded.memoryBuffer === undefined ? new Uint8Array(0) : new Uint8Array(loaded.memoryBuffer, STAGE_AT, STAGE_BYTES)
    this.arena =
      arenaInside && loaded.memoryBuffer !== undefined
        ? Buffer.from(loaded.memoryBuffer, ARENA_AT, arenaBytes)
        : Buffer.allocUnsafeSlow(arenaBytes)
  }

  /** The CRC-32C of `bytes` from `start` up to `end`, as an unsigned number. */
  checksum(bytes: Uint8Array, start: number, end: number): number {
    if (!(start >= 0 && start <= end && end <= bytes.length)) throw outOfRange(bytes, start, end)
    const raw = this.#raw
    if (raw === undefined) return portableCrc32c.buf(bytes.subarray(start, end)) >>> 0
    if (bytes.buffer === this.#memoryBuffer) return ~raw(bytes.byteOffset + start, end - start, -1) >>> 0
    let state = -1
    for (let at = start; at < end; at += STAGE_BYTES) {
      const pieceEnd = Math.min(at + STAGE_BYTES, end)
      this.#stage.set(bytes.subarray(at, pieceEnd))
      state = raw(STAGE_AT, pieceEnd - at, state)
    }
    return ~state >>> 0
  }
}

let sharedKernel: Crc32cKernel | undefined

/** The CRC-32C of any bytes (by default all of them), as an unsigned number, by a small kernel that all callers share. */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  sharedKernel ??= Crc32cKernel.create(0)
  return sharedKernel.checksum(bytes, start, end)
}

/** Goes down the kinds, each first with the arena in its own memory, then with a small memory and the arena elsewhere. */
function loadFirst(
  arenaBytes: number,
  kinds: readonly Crc32cKind[],
): { loaded: LoadedKernel; arenaInside: boolean; refusal: unknown } {
  let refusal: unknown
  for (const kind of kinds) {
    if (kind === 'portable')
      return { loaded: { kind, raw: undefined, memoryBuffer: undefined }, arenaInside: false, refusal }
    for (const arenaInside of [true, false]) {
      try {
        return { loaded: load(kind, arenaInside ? arenaBytes : 0), arenaInside, refusal }
      } catch (error) {
        refusal ??= error
      }
    }
  }
  throw kafkaError('INTERNAL', `no CRC-32C kernel of ${kinds.join(', ')} can run here`, { cause: refusal })
}

// TypeScript describes WebAssembly only together with the browser; this is the part used here. Looked up when needed: `--jitless` has none.
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: object }
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer }
}

const compiledModules = new Map<string, object>()

/** Throws what the runtime throws where it has no WebAssembly, no SIMD, or no memory of that size (`ulimit -v`, above 4 GiB). */
function load(kind: 'simd' | 'i64', arenaBytes: number): LoadedKernel {
  const { WebAssembly } = globalThis as { WebAssembly?: WebAssemblyApi }
  if (WebAssembly === undefined) throw kafkaError('INTERNAL', 'this runtime has no WebAssembly')
  // Each module is compiled once a process, synchronously: they are small, and Node asks for no more.
  const compiled = (base64: string): object => {
    const module = compiledModules.get(base64) ?? new WebAssembly.Module(Buffer.from(base64, 'base64'))
    compiledModules.set(base64, module)
    return module
  }
  const loopsModule = compiled(kind === 'simd' ? simdLoopsModule : i64LoopsModule)
  const pages = Math.ceil((ARENA_AT + arenaBytes + SPARE_BYTES) / PAGE_BYTES)
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
  const kernel = { memory }
  const { exports: loops } = new WebAssembly.Instance(loopsModule, { kernel })
  const { exports } = new WebAssembly.Instance(compiled(driverModule), { kernel, loops })
  return { kind, raw: (exports as { raw: RawChecksum }).raw, memoryBuffer: memory.buffer }
}

function outOfRange(bytes: Uint8Array, start: number, end: number): Error {
  return kafkaError('INTERNAL', `checksum of bytes ${start} to ${end} asked for, there are ${bytes.length}`)
}
