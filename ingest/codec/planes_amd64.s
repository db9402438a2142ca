//go:build amd64 && !purego

#include "textflag.h"

// Each loop handles 32 numbers of 16 bits: 64 bytes of numbers, 32 bytes of each plane. Packing and
// unpacking work in each half of a register; VPERMQ $0xd8 swaps the two quarters in the middle.

// func gatherLow(plane, src *byte, n int)
TEXT ·gatherLow(SB), NOSPLIT, $0-24
	MOVQ     plane+0(FP), DI
	MOVQ     src+8(FP), SI
	MOVQ     n+16(FP), CX
	VPCMPEQW Y7, Y7, Y7
	VPSRLW   $8, Y7, Y7     // 0x00ff in each number

low:
	VMOVDQU   (SI), Y0
	VMOVDQU   32(SI), Y1
	VPSRLW    $15, Y0, Y2
	VPSRLW    $15, Y1, Y3
	VPADDW    Y0, Y0, Y0
	VPADDW    Y1, Y1, Y1
	VPOR      Y2, Y0, Y0
	VPOR      Y3, Y1, Y1
	VPAND     Y7, Y0, Y0
	VPAND     Y7, Y1, Y1
	VPACKUSWB Y1, Y0, Y0
	VPERMQ    $0xd8, Y0, Y0
	VMOVDQU   Y0, (DI)
	ADDQ      $64, SI
	ADDQ      $32, DI
	DECQ      CX
	JNZ       low
	VZEROUPPER
	RET

// func gatherHigh(plane, src *byte, n int)
TEXT ·gatherHigh(SB), NOSPLIT, $0-24
	MOVQ     plane+0(FP), DI
	MOVQ     src+8(FP), SI
	MOVQ     n+16(FP), CX
	VPCMPEQW Y7, Y7, Y7
	VPSRLW   $8, Y7, Y7     // 0x00ff in each number

high:
	VMOVDQU   (SI), Y0
	VMOVDQU   32(SI), Y1
	VPSRLW    $7, Y0, Y0
	VPSRLW    $7, Y1, Y1
	VPAND     Y7, Y0, Y0
	VPAND     Y7, Y1, Y1
	VPACKUSWB Y1, Y0, Y0
	VPERMQ    $0xd8, Y0, Y0
	VMOVDQU   Y0, (DI)
	ADDQ      $64, SI
	ADDQ      $32, DI
	DECQ      CX
	JNZ       high
	VZEROUPPER
	RET

// func joinRotated(into, low, high *byte, n int)
TEXT ·joinRotated(SB), NOSPLIT, $0-32
	MOVQ into+0(FP), DI
	MOVQ low+8(FP), SI
	MOVQ high+16(FP), DX
	MOVQ n+24(FP), CX

join:
	VPERMQ     $0xd8, (SI), Y0
	VPERMQ     $0xd8, (DX), Y1
	VPUNPCKLBW Y1, Y0, Y2
	VPUNPCKHBW Y1, Y0, Y3
	VPSRLW     $1, Y2, Y4
	VPSRLW     $1, Y3, Y5
	VPSLLW     $15, Y2, Y2
	VPSLLW     $15, Y3, Y3
	VPOR       Y4, Y2, Y2
	VPOR       Y5, Y3, Y3
	VMOVDQU    Y2, (DI)
	VMOVDQU    Y3, 32(DI)
	ADDQ       $32, SI
	ADDQ       $32, DX
	ADDQ       $64, DI
	DECQ       CX
	JNZ        join
	VZEROUPPER
	RET
