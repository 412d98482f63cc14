// FrameReader over a stream of Produce answers: many frames in a chunk, one frame in many chunks, and the usual one in one.
import { bench, group, summary } from 'mitata'
import { FrameReader } from '../../src/net/frame-reader.ts'

// What a broker answers for one batch of one topic, and for a hundred partitions.
const SMALL = 64
const LARGE = 4_096
const FRAMES = 256
const MAX_FRAME_BYTES = 1_048_576

function frames(count: number, bodyBytes: number): Buffer {
  const stream = Buffer.alloc(count * (4 + bodyBytes))
  for (let i = 0; i < count; i++) stream.writeInt32BE(bodyBytes, i * (4 + bodyBytes))
  return stream
}

function chunksOf(stream: Buffer, bytes: number): Buffer[] {
  return Array.from({ length: Math.ceil(stream.length / bytes) }, (_, i) => stream.subarray(i * bytes, (i + 1) * bytes))
}

const cases = [
  { name: `${SMALL} B, each in a chunk of its own`, chunks: chunksOf(frames(FRAMES, SMALL), SMALL + 4) },
  { name: `${SMALL} B, all in one chunk`, chunks: chunksOf(frames(FRAMES, SMALL), FRAMES * (SMALL + 4)) },
  { name: `${SMALL} B, cut every 1460 B`, chunks: chunksOf(frames(FRAMES, SMALL), 1_460) },
  { name: `${LARGE} B, cut every 1460 B`, chunks: chunksOf(frames(FRAMES, LARGE), 1_460) },
  { name: `${LARGE} B, all in chunks of 64 KiB`, chunks: chunksOf(frames(FRAMES, LARGE), 65_536) },
]

group(`splitting ${FRAMES} frames`, () => {
  summary(() => {
    for (const { name, chunks } of cases) {
      let seen = 0
      const reader = new FrameReader(MAX_FRAME_BYTES, () => {
        seen++
      })
      bench(`frame-split: ${FRAMES} frames of ${name}`, () => {
        for (const chunk of chunks) reader.push(chunk)
        return seen
      })
    }
  })
})
