;; The two loops of crc32c.wat on vectors of 16 bytes, four a turn.
;; From: build.ts assembles it, ../crc32c.ts instantiates it where SIMD is there. To: crc32c.wat, which explains what is computed.
;;
;; Four vectors a turn are independent of each other: the nearest tap is 65 bytes back (1040 in the wide loop), a turn is 64.
(module
  (import "kernel" "memory" (memory 1))

  (global (export "wide_from") i32 (i32.const 12288))

  ;; Distances 3344 3120 2720 2480 1040: the taps are 3344 - distance from the window.
  (func (export "wide") (param $window i32) (param $out i32) (param $source i32) (param $length i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $out) (local.get $length)))
    (loop $turn
      (v128.store offset=0
        (local.get $out)
        (v128.xor
          (v128.xor
            (v128.load offset=0 (local.get $source))
            (v128.xor (v128.load offset=0 (local.get $window)) (v128.load offset=224 (local.get $window))))
          (v128.xor
            (v128.load offset=624 (local.get $window))
            (v128.xor (v128.load offset=864 (local.get $window)) (v128.load offset=2304 (local.get $window))))))
      (v128.store offset=16
        (local.get $out)
        (v128.xor
          (v128.xor
            (v128.load offset=16 (local.get $source))
            (v128.xor (v128.load offset=16 (local.get $window)) (v128.load offset=240 (local.get $window))))
          (v128.xor
            (v128.load offset=640 (local.get $window))
            (v128.xor (v128.load offset=880 (local.get $window)) (v128.load offset=2320 (local.get $window))))))
      (v128.store offset=32
        (local.get $out)
        (v128.xor
          (v128.xor
            (v128.load offset=32 (local.get $source))
            (v128.xor (v128.load offset=32 (local.get $window)) (v128.load offset=256 (local.get $window))))
          (v128.xor
            (v128.load offset=656 (local.get $window))
            (v128.xor (v128.load offset=896 (local.get $window)) (v128.load offset=2336 (local.get $window))))))
      (v128.store offset=48
        (local.get $out)
        (v128.xor
          (v128.xor
            (v128.load offset=48 (local.get $source))
            (v128.xor (v128.load offset=48 (local.get $window)) (v128.load offset=272 (local.get $window))))
          (v128.xor
            (v128.load offset=672 (local.get $window))
            (v128.xor (v128.load offset=912 (local.get $window)) (v128.load offset=2352 (local.get $window))))))
      (local.set $window (i32.add (local.get $window) (i32.const 64)))
      (local.set $source (i32.add (local.get $source) (i32.const 64)))
      (br_if $turn (i32.ne (local.tee $out (i32.add (local.get $out) (i32.const 64))) (local.get $end)))))

  ;; Distances 209 195 170 155 65: the taps are 209 - distance from the window.
  (func (export "mid") (param $window i32) (param $out i32) (param $source i32) (param $length i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $out) (local.get $length)))
    (loop $turn
      (v128.store offset=0
        (local.get $out)
        (v128.xor
          (v128.xor
            (v128.load offset=0 (local.get $source))
            (v128.xor (v128.load offset=0 (local.get $window)) (v128.load offset=14 (local.get $window))))
          (v128.xor
            (v128.load offset=39 (local.get $window))
            (v128.xor (v128.load offset=54 (local.get $window)) (v128.load offset=144 (local.get $window))))))
      (v128.store offset=16
        (local.get $out)
        (v128.xor
          (v128.xor
            (v128.load offset=16 (local.get $source))
            (v128.xor (v128.load offset=16 (local.get $window)) (v128.load offset=30 (local.get $window))))
          (v128.xor
            (v128.load offset=55 (local.get $window))
            (v128.xor (v128.load offset=70 (local.get $window)) (v128.load offset=160 (local.get $window))))))
      (v128.store offset=32
        (local.get $out)
        (v128.xor
          (v128.xor
            (v128.load offset=32 (local.get $source))
            (v128.xor (v128.load offset=32 (local.get $window)) (v128.load offset=46 (local.get $window))))
          (v128.xor
            (v128.load offset=71 (local.get $window))
            (v128.xor (v128.load offset=86 (local.get $window)) (v128.load offset=176 (local.get $window))))))
      (v128.store offset=48
        (local.get $out)
        (v128.xor
          (v128.xor
            (v128.load offset=48 (local.get $source))
            (v128.xor (v128.load offset=48 (local.get $window)) (v128.load offset=62 (local.get $window))))
          (v128.xor
            (v128.load offset=87 (local.get $window))
            (v128.xor (v128.load offset=102 (local.get $window)) (v128.load offset=192 (local.get $window))))))
      (local.set $window (i32.add (local.get $window) (i32.const 64)))
      (local.set $source (i32.add (local.get $source) (i32.const 64)))
      (br_if $turn (i32.ne (local.tee $out (i32.add (local.get $out) (i32.const 64))) (local.get $end))))))
