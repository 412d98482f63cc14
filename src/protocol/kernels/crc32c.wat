;; CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) in three stages: long messages are cut down to 3.4 KB, these to 0.3 KB, and
;; these go through tables. From: build.ts assembles it, ../crc32c.ts instantiates it. To: crc32c-simd.wat or crc32c-i64.wat, whichever
;; the machine can run, for the two loops in which the time is spent.
;;
;; Everything here works on the raw state, the register without its two inversions: crc32c(m) = ~raw(m, 0xffffffff). Two facts
;; carry the rest: the state only enters by being XORed into the next four bytes, and a raw state of 0 stays 0 over zero bytes.
;;
;; The sparse stages rest on a multiple of the polynomial with six terms only, at the byte distances 209 195 170 155 65 from the top
;; (the idea of Chorba, arXiv 2412.16398). Adding it to a message leaves the CRC as it was, so byte i can be made zero if its value is
;; XORed into the bytes i+65, i+155, i+170, i+195 and i+209. Done from left to right over the first n bytes, and written as a gather:
;;
;;   q[i] = m[i] ^ q[i-209] ^ q[i-195] ^ q[i-170] ^ q[i-155] ^ q[i-65]     i = 0 .. n-1, q[<0] = 0
;;   r[j] = m[n+j] ^ the same taps, where q[>=n] = 0                       j = 0 .. len-n-1
;;   raw(m, 0) = raw(r, 0)
;;
;; The n zeros in front of r cost nothing. No tables, and no dependence between neighbouring bytes: five loads, five XORs, a store per
;; vector. That is the mid stage. The multiple squared four times has the same terms at 16 times the distance, 3344 3120 2720 2480 1040:
;; with every tap aligned as its target is, the wide stage runs half as fast again, but has a longer residue to work off.
;; Where one takes over from the other was measured (bench/micro/crc32c.ts): 512 B, and 12 KiB with vectors; without, wide never pays.
;;
;; Memory, in bytes (all in page 0 of the memory that ../crc32c.ts makes):
;;       0   16 tables of 256 words: T0, then Tk[i] = the byte i followed by k zero bytes
;;   16384   wide stage: window of 3344 bytes, block of up to 8192 bytes of q (window and block stay in the first-level cache), zeros
;;   31744   mid stage: window of 209 bytes, block of up to 8192 bytes of q, zeros
;;   40960   residue of the wide stage: up to 3407 bytes, and the rest of a loop turn
;;   45056   residue of the mid stage: up to 287 bytes, and the rest of a loop turn
(module
  (import "kernel" "memory" (memory 1))
  ;; (window, out, source, length): out[i] = source[i] ^ the five taps, which count from window. length is a multiple of 64, above 0.
  (import "loops" "wide" (func $wide_loop (param i32 i32 i32 i32)))
  (import "loops" "mid" (func $mid_loop (param i32 i32 i32 i32)))
  ;; The shortest message for which the wide stage pays, unsigned.
  (import "loops" "wide_from" (global $wide_from i32))

  (func $build_tables
    (local $at i32) (local $value i32) (local $bits i32)
    (loop $entry
      (local.set $value (i32.shr_u (local.get $at) (i32.const 2)))
      (local.set $bits (i32.const 8))
      (loop $bit
        (local.set $value
          (i32.xor
            (i32.shr_u (local.get $value) (i32.const 1))
            (i32.and (i32.const 0x82F63B78) (i32.sub (i32.const 0) (i32.and (local.get $value) (i32.const 1))))))
        (br_if $bit (local.tee $bits (i32.sub (local.get $bits) (i32.const 1)))))
      (i32.store (local.get $at) (local.get $value))
      (br_if $entry (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const 1024))))
    ;; Each later table from the one before it: one more zero byte.
    (loop $next
      (local.set $value (i32.load (i32.sub (local.get $at) (i32.const 1024))))
      (i32.store
        (local.get $at)
        (i32.xor
          (i32.shr_u (local.get $value) (i32.const 8))
          (i32.load (i32.shl (i32.and (local.get $value) (i32.const 255)) (i32.const 2)))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const 16384)))))
  (start $build_tables)

  ;; Sixteen bytes a turn by sixteen tables, then byte by byte. The tables' places are in the loads' offsets, and a byte's index comes
  ;; multiplied by four from one shift and one mask.
  (func $slice16 (param $at i32) (param $length i32) (param $state i32) (result i32)
    (local $end i32) (local $a i32) (local $b i32) (local $d i32) (local $e i32)
    (local.set $end (i32.add (local.get $at) (i32.and (local.get $length) (i32.const -16))))
    (block $short
      (br_if $short (i32.eq (local.get $at) (local.get $end)))
      (loop $turn
        (local.set $a (i32.xor (local.get $state) (i32.load (local.get $at))))
        (local.set $b (i32.load offset=4 (local.get $at)))
        (local.set $d (i32.load offset=8 (local.get $at)))
        (local.set $e (i32.load offset=12 (local.get $at)))
        (local.set $state
          (i32.xor
            (i32.xor
              (i32.xor
                (i32.xor
                  (i32.load offset=15360 (i32.and (i32.shl (local.get $a) (i32.const 2)) (i32.const 1020)))
                  (i32.load offset=14336 (i32.and (i32.shr_u (local.get $a) (i32.const 6)) (i32.const 1020))))
                (i32.xor
                  (i32.load offset=13312 (i32.and (i32.shr_u (local.get $a) (i32.const 14)) (i32.const 1020)))
                  (i32.load offset=12288 (i32.and (i32.shr_u (local.get $a) (i32.const 22)) (i32.const 1020)))))
              (i32.xor
                (i32.xor
                  (i32.load offset=11264 (i32.and (i32.shl (local.get $b) (i32.const 2)) (i32.const 1020)))
                  (i32.load offset=10240 (i32.and (i32.shr_u (local.get $b) (i32.const 6)) (i32.const 1020))))
                (i32.xor
                  (i32.load offset=9216 (i32.and (i32.shr_u (local.get $b) (i32.const 14)) (i32.const 1020)))
                  (i32.load offset=8192 (i32.and (i32.shr_u (local.get $b) (i32.const 22)) (i32.const 1020))))))
            (i32.xor
              (i32.xor
                (i32.xor
                  (i32.load offset=7168 (i32.and (i32.shl (local.get $d) (i32.const 2)) (i32.const 1020)))
                  (i32.load offset=6144 (i32.and (i32.shr_u (local.get $d) (i32.const 6)) (i32.const 1020))))
                (i32.xor
                  (i32.load offset=5120 (i32.and (i32.shr_u (local.get $d) (i32.const 14)) (i32.const 1020)))
                  (i32.load offset=4096 (i32.and (i32.shr_u (local.get $d) (i32.const 22)) (i32.const 1020)))))
              (i32.xor
                (i32.xor
                  (i32.load offset=3072 (i32.and (i32.shl (local.get $e) (i32.const 2)) (i32.const 1020)))
                  (i32.load offset=2048 (i32.and (i32.shr_u (local.get $e) (i32.const 6)) (i32.const 1020))))
                (i32.xor
                  (i32.load offset=1024 (i32.and (i32.shr_u (local.get $e) (i32.const 14)) (i32.const 1020)))
                  (i32.load offset=0 (i32.and (i32.shr_u (local.get $e) (i32.const 22)) (i32.const 1020))))))))
        (br_if $turn (i32.ne (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end)))))
    (local.set $end (i32.add (local.get $at) (i32.and (local.get $length) (i32.const 15))))
    (block $done
      (br_if $done (i32.eq (local.get $at) (local.get $end)))
      (loop $byte
        (local.set $state
          (i32.xor
            (i32.load
              (i32.shl
                (i32.and (i32.xor (local.get $state) (i32.load8_u (local.get $at))) (i32.const 255))
                (i32.const 2)))
            (i32.shr_u (local.get $state) (i32.const 8))))
        (br_if $byte (i32.ne (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end)))))
    (local.get $state))

  ;; From 512 bytes on all but the last 224 to 287 are eliminated at the distances 209 195 170 155 65.
  (func $mid (param $at i32) (param $length i32) (param $state i32) (result i32)
    (local $left i32) (local $rest i32)
    (if (i32.lt_u (local.get $length) (i32.const 512))
      (then (return (call $slice16 (local.get $at) (local.get $length) (local.get $state)))))
    (local.set $left (i32.and (i32.sub (local.get $length) (i32.const 224)) (i32.const -64)))
    (local.set $rest (i32.sub (local.get $length) (local.get $left)))
    ;; The state enters as q[-209 .. -206]: only the farthest tap reaches these, from the first four bytes.
    (memory.fill (i32.const 31744) (i32.const 0) (i32.const 224))
    (i32.store (i32.const 31744) (local.get $state))
    (block $last
      (loop $next
        (br_if $last (i32.le_u (local.get $left) (i32.const 8192)))
        (call $mid_loop (i32.const 31744) (i32.const 31953) (local.get $at) (i32.const 8192))
        ;; The last 209 bytes of q are the next block's window.
        (memory.copy (i32.const 31744) (i32.const 39936) (i32.const 209))
        (local.set $at (i32.add (local.get $at) (i32.const 8192)))
        (local.set $left (i32.sub (local.get $left) (i32.const 8192)))
        (br $next)))
    (call $mid_loop (i32.const 31744) (i32.const 31953) (local.get $at) (local.get $left))
    ;; The residue: the same gather, over zeros where q has ended. It runs to the end of a turn: up to 63 bytes behind the message are
    ;; read and never used (the memory ends with as many to spare).
    (memory.fill (i32.add (i32.const 31953) (local.get $left)) (i32.const 0) (i32.const 320))
    (call $mid_loop
      (i32.add (i32.const 31744) (local.get $left))
      (i32.const 45056)
      (i32.add (local.get $at) (local.get $left))
      (i32.and (i32.add (local.get $rest) (i32.const 63)) (i32.const -64)))
    (call $slice16 (i32.const 45056) (local.get $rest) (i32.const 0)))

  ;; The raw state after `length` more bytes from `at` on. The wide stage is the mid stage over again, at 16 times the distances, and
  ;; leaves 3344 to 3407 bytes.
  (func (export "raw") (param $at i32) (param $length i32) (param $state i32) (result i32)
    (local $left i32) (local $rest i32)
    (if (i32.lt_u (local.get $length) (global.get $wide_from))
      (then (return (call $mid (local.get $at) (local.get $length) (local.get $state)))))
    (local.set $left (i32.and (i32.sub (local.get $length) (i32.const 3344)) (i32.const -64)))
    (local.set $rest (i32.sub (local.get $length) (local.get $left)))
    (memory.fill (i32.const 16384) (i32.const 0) (i32.const 3344))
    (i32.store (i32.const 16384) (local.get $state))
    (block $last
      (loop $next
        (br_if $last (i32.le_u (local.get $left) (i32.const 8192)))
        (call $wide_loop (i32.const 16384) (i32.const 19728) (local.get $at) (i32.const 8192))
        (memory.copy (i32.const 16384) (i32.const 24576) (i32.const 3344))
        (local.set $at (i32.add (local.get $at) (i32.const 8192)))
        (local.set $left (i32.sub (local.get $left) (i32.const 8192)))
        (br $next)))
    (call $wide_loop (i32.const 16384) (i32.const 19728) (local.get $at) (local.get $left))
    (memory.fill (i32.add (i32.const 19728) (local.get $left)) (i32.const 0) (i32.const 3456))
    (call $wide_loop
      (i32.add (i32.const 16384) (local.get $left))
      (i32.const 40960)
      (i32.add (local.get $at) (local.get $left))
      (i32.and (i32.add (local.get $rest) (i32.const 63)) (i32.const -64)))
    (call $mid (i32.const 40960) (local.get $rest) (i32.const 0))))
