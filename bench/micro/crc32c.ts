// CRC-32C: the kernels, over their own memory and with bytes copied in, beside crc-32, Node's own crc32 (another polynomial, in
// native code, for scale) and a plain copy of the same bytes.
import { crc32 as zlibCrc32 } from 'node:zlib'
import portableCrc32c from 'crc-32/crc32c.js'
import { bench, do_not_optimize, group, summary } from 'mitata'
import { Crc32cKernel } from '../../src/protocol/crc32c.ts'

const LARGEST = 65_536
const sizes = [100, 1024, 4096, 16_384, LARGEST]

const outside = Buffer.alloc(LARGEST)
for (let i = 0; i < LARGEST; i++) outside[i] = Math.imul(i, 2_654_435_761) >>> 24

const kernels = (['simd', 'i64'] as const).map((kind) => {
  const kernel = Crc32cKernel.create(LARGEST, [kind])
  outside.copy(kernel.arena)
  return kernel
})
const copyTarget = Buffer.alloc(LARGEST)

for (const size of sizes) {
  const message = outside.subarray(0, size)
  group(`CRC-32C of ${size} B`, () => {
    summary(() => {
      for (const kernel of kernels) {
        bench(`crc32c ${size} B: ${kernel.kind} kernel, in its arena`, () =>
          do_not_optimize(kernel.checksum(kernel.arena, 0, size)),
        )
      }
      const simd = kernels[0]!
      bench(`crc32c ${size} B: simd kernel, copied in`, () => do_not_optimize(simd.checksum(outside, 0, size)))
      bench(`crc32c ${size} B: crc-32/crc32c`, () => do_not_optimize(portableCrc32c.buf(message)))
      bench(`crc32c ${size} B: zlib.crc32 (IEEE)`, () => do_not_optimize(zlibCrc32(message)))
      bench(`crc32c ${size} B: only a copy`, () => do_not_optimize(copyTarget.set(message)))
    })
  })
}
