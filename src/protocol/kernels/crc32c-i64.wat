;; The inner loop of crc32c.wat on words of 8 bytes, four a turn: for machines without SIMD.
;; From: build.ts assembles it, ../crc32c.ts instantiates it where SIMD is missing. To: crc32c.wat, which explains what is computed.
(module
  (import "kernel" "memory" (memory 1))

  ;; Words are no faster at the wide distances than at the others: never.
  (global (export "wide_from") i32 (i32.const 0xffffffff))
  (func (export "wide") (param i32 i32 i32 i32)
    (unreachable))

  ;; Distances 209 195 170 155 65: the taps are 209 - distance from the window.
  (func (export "mid") (param $window i32) (param $out i32) (param $source i32) (param $length i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $out) (local.get $length)))
    (loop $turn
      (i64.store offset=0
        (local.get $out)
        (i64.xor
          (i64.xor
            (i64.load offset=0 (local.get $source))
            (i64.xor (i64.load offset=0 (local.get $window)) (i64.load offset=14 (local.get $window))))
          (i64.xor
            (i64.load offset=39 (local.get $window))
            (i64.xor (i64.load offset=54 (local.get $window)) (i64.load offset=144 (local.get $window))))))
      (i64.store offset=8
        (local.get $out)
        (i64.xor
          (i64.xor
            (i64.load offset=8 (local.get $source))
            (i64.xor (i64.load offset=8 (local.get $window)) (i64.load offset=22 (local.get $window))))
          (i64.xor
            (i64.load offset=47 (local.get $window))
            (i64.xor (i64.load offset=62 (local.get $window)) (i64.load offset=152 (local.get $window))))))
      (i64.store offset=16
        (local.get $out)
        (i64.xor
          (i64.xor
            (i64.load offset=16 (local.get $source))
            (i64.xor (i64.load offset=16 (local.get $window)) (i64.load offset=30 (local.get $window))))
          (i64.xor
            (i64.load offset=55 (local.get $window))
            (i64.xor (i64.load offset=70 (local.get $window)) (i64.load offset=160 (local.get $window))))))
      (i64.store offset=24
        (local.get $out)
        (i64.xor
          (i64.xor
            (i64.load offset=24 (local.get $source))
            (i64.xor (i64.load offset=24 (local.get $window)) (i64.load offset=38 (local.get $window))))
          (i64.xor
            (i64.load offset=63 (local.get $window))
            (i64.xor (i64.load offset=78 (local.get $window)) (i64.load offset=168 (local.get $window))))))
      (local.set $window (i32.add (local.get $window) (i32.const 32)))
      (local.set $source (i32.add (local.get $source) (i32.const 32)))
      (br_if $turn (i32.ne (local.tee $out (i32.add (local.get $out) (i32.const 32))) (local.get $end))))))
