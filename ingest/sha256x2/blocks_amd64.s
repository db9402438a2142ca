//go:build amd64 && !purego

#include "textflag.h"

// The code uses Intel's "SHA Extensions". Words and steps have the names of FIPS 180-4.
//
// Each chain has its state in two registers, one with the words a, b, e and f, the other with c, d, g
// and h, and the current sixteen words of its message schedule in four more:
//
//	            a b e f   c d g h   message
//	first       X1        X2        X3 X4 X5 X6
//	second      X7        X8        X9 X10 X11 X12
//
// X0 is the implicit operand of SHA256RNDS2, X13 is scratch, and X14 is the mask that swaps the
// bytes of words. The chains alternate every four rounds; out-of-order execution runs them in
// parallel.

// LOAD reads four words of a block.
#define LOAD(group, block, message) \
	MOVOU  (16*group)(block), message \
	PSHUFB X14, message

// ROUNDS performs four rounds with four words of the schedule.
#define ROUNDS(group, message, abef, cdgh) \
	MOVOU       (16*group)(AX), X0 \
	PADDL       message, X0        \
	SHA256RNDS2 X0, abef, cdgh     \
	PSHUFD      $0x0e, X0, X0      \
	SHA256RNDS2 X0, cdgh, abef

// BEGIN starts the words that are sixteen after before.
#define BEGIN(message, before) \
	SHA256MSG1 message, before

// FINISH completes the four words after message, which BEGIN started.
#define FINISH(message, before, after) \
	MOVO       message, X13    \
	PALIGNR    $4, before, X13 \
	PADDL      X13, after      \
	SHA256MSG2 message, after

// UNPACK reads a state, a to h in order.
#define UNPACK(state, abef, cdgh) \
	MOVOU   (state), X13     \
	MOVOU   16(state), cdgh  \
	PSHUFD  $0xb1, X13, X13  \
	PSHUFD  $0x1b, cdgh, cdgh \
	MOVO    X13, abef        \
	PALIGNR $8, cdgh, abef   \
	PBLENDW $0xf0, X13, cdgh

// PACK writes a state.
#define PACK(state, abef, cdgh) \
	PSHUFD  $0x1b, abef, X13  \
	PSHUFD  $0xb1, cdgh, cdgh \
	MOVO    X13, abef         \
	PBLENDW $0xf0, cdgh, abef \
	PALIGNR $8, X13, cdgh     \
	MOVOU   abef, (state)     \
	MOVOU   cdgh, 16(state)

// ADD adds the value of a register before the block.
#define ADD(at, register) \
	MOVOU at(SP), X0 \
	PADDL X0, register

// func blocks(a, b *state, ofA, ofB *byte, n int)
TEXT ·blocks(SB), NOSPLIT, $64-40
	MOVQ  a+0(FP), DI
	MOVQ  b+8(FP), R8
	MOVQ  ofA+16(FP), SI
	MOVQ  ofB+24(FP), DX
	MOVQ  n+32(FP), CX
	LEAQ  words<>(SB), AX
	MOVOU swap<>(SB), X14
	UNPACK(DI, X1, X2)
	UNPACK(R8, X7, X8)

block:
	MOVOU X1, 0(SP)
	MOVOU X2, 16(SP)
	MOVOU X7, 32(SP)
	MOVOU X8, 48(SP)

	// rounds 0 to 3
	LOAD(0, SI, X3)
	ROUNDS(0, X3, X1, X2)
	LOAD(0, DX, X9)
	ROUNDS(0, X9, X7, X8)
	// rounds 4 to 7
	LOAD(1, SI, X4)
	ROUNDS(1, X4, X1, X2)
	BEGIN(X4, X3)
	LOAD(1, DX, X10)
	ROUNDS(1, X10, X7, X8)
	BEGIN(X10, X9)
	// rounds 8 to 11
	LOAD(2, SI, X5)
	ROUNDS(2, X5, X1, X2)
	BEGIN(X5, X4)
	LOAD(2, DX, X11)
	ROUNDS(2, X11, X7, X8)
	BEGIN(X11, X10)
	// rounds 12 to 15
	LOAD(3, SI, X6)
	ROUNDS(3, X6, X1, X2)
	FINISH(X6, X5, X3)
	BEGIN(X6, X5)
	LOAD(3, DX, X12)
	ROUNDS(3, X12, X7, X8)
	FINISH(X12, X11, X9)
	BEGIN(X12, X11)
	// rounds 16 to 19
	ROUNDS(4, X3, X1, X2)
	FINISH(X3, X6, X4)
	BEGIN(X3, X6)
	ROUNDS(4, X9, X7, X8)
	FINISH(X9, X12, X10)
	BEGIN(X9, X12)
	// rounds 20 to 23
	ROUNDS(5, X4, X1, X2)
	FINISH(X4, X3, X5)
	BEGIN(X4, X3)
	ROUNDS(5, X10, X7, X8)
	FINISH(X10, X9, X11)
	BEGIN(X10, X9)
	// rounds 24 to 27
	ROUNDS(6, X5, X1, X2)
	FINISH(X5, X4, X6)
	BEGIN(X5, X4)
	ROUNDS(6, X11, X7, X8)
	FINISH(X11, X10, X12)
	BEGIN(X11, X10)
	// rounds 28 to 31
	ROUNDS(7, X6, X1, X2)
	FINISH(X6, X5, X3)
	BEGIN(X6, X5)
	ROUNDS(7, X12, X7, X8)
	FINISH(X12, X11, X9)
	BEGIN(X12, X11)
	// rounds 32 to 35
	ROUNDS(8, X3, X1, X2)
	FINISH(X3, X6, X4)
	BEGIN(X3, X6)
	ROUNDS(8, X9, X7, X8)
	FINISH(X9, X12, X10)
	BEGIN(X9, X12)
	// rounds 36 to 39
	ROUNDS(9, X4, X1, X2)
	FINISH(X4, X3, X5)
	BEGIN(X4, X3)
	ROUNDS(9, X10, X7, X8)
	FINISH(X10, X9, X11)
	BEGIN(X10, X9)
	// rounds 40 to 43
	ROUNDS(10, X5, X1, X2)
	FINISH(X5, X4, X6)
	BEGIN(X5, X4)
	ROUNDS(10, X11, X7, X8)
	FINISH(X11, X10, X12)
	BEGIN(X11, X10)
	// rounds 44 to 47
	ROUNDS(11, X6, X1, X2)
	FINISH(X6, X5, X3)
	BEGIN(X6, X5)
	ROUNDS(11, X12, X7, X8)
	FINISH(X12, X11, X9)
	BEGIN(X12, X11)
	// rounds 48 to 51
	ROUNDS(12, X3, X1, X2)
	FINISH(X3, X6, X4)
	BEGIN(X3, X6)
	ROUNDS(12, X9, X7, X8)
	FINISH(X9, X12, X10)
	BEGIN(X9, X12)
	// rounds 52 to 55
	ROUNDS(13, X4, X1, X2)
	FINISH(X4, X3, X5)
	ROUNDS(13, X10, X7, X8)
	FINISH(X10, X9, X11)
	// rounds 56 to 59
	ROUNDS(14, X5, X1, X2)
	FINISH(X5, X4, X6)
	ROUNDS(14, X11, X7, X8)
	FINISH(X11, X10, X12)
	// rounds 60 to 63
	ROUNDS(15, X6, X1, X2)
	ROUNDS(15, X12, X7, X8)

	ADD(0, X1)
	ADD(16, X2)
	ADD(32, X7)
	ADD(48, X8)
	ADDQ $64, SI
	ADDQ $64, DX
	DECQ CX
	JNZ  block

	PACK(DI, X1, X2)
	PACK(R8, X7, X8)
	RET

DATA swap<>+0(SB)/8, $0x0405060700010203
DATA swap<>+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL swap<>(SB), RODATA|NOPTR, $16

// The constants of FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of
// the first 64 primes.
DATA words<>+0(SB)/8, $0x71374491428a2f98
DATA words<>+8(SB)/8, $0xe9b5dba5b5c0fbcf
DATA words<>+16(SB)/8, $0x59f111f13956c25b
DATA words<>+24(SB)/8, $0xab1c5ed5923f82a4
DATA words<>+32(SB)/8, $0x12835b01d807aa98
DATA words<>+40(SB)/8, $0x550c7dc3243185be
DATA words<>+48(SB)/8, $0x80deb1fe72be5d74
DATA words<>+56(SB)/8, $0xc19bf1749bdc06a7
DATA words<>+64(SB)/8, $0xefbe4786e49b69c1
DATA words<>+72(SB)/8, $0x240ca1cc0fc19dc6
DATA words<>+80(SB)/8, $0x4a7484aa2de92c6f
DATA words<>+88(SB)/8, $0x76f988da5cb0a9dc
DATA words<>+96(SB)/8, $0xa831c66d983e5152
DATA words<>+104(SB)/8, $0xbf597fc7b00327c8
DATA words<>+112(SB)/8, $0xd5a79147c6e00bf3
DATA words<>+120(SB)/8, $0x1429296706ca6351
DATA words<>+128(SB)/8, $0x2e1b213827b70a85
DATA words<>+136(SB)/8, $0x53380d134d2c6dfc
DATA words<>+144(SB)/8, $0x766a0abb650a7354
DATA words<>+152(SB)/8, $0x92722c8581c2c92e
DATA words<>+160(SB)/8, $0xa81a664ba2bfe8a1
DATA words<>+168(SB)/8, $0xc76c51a3c24b8b70
DATA words<>+176(SB)/8, $0xd6990624d192e819
DATA words<>+184(SB)/8, $0x106aa070f40e3585
DATA words<>+192(SB)/8, $0x1e376c0819a4c116
DATA words<>+200(SB)/8, $0x34b0bcb52748774c
DATA words<>+208(SB)/8, $0x4ed8aa4a391c0cb3
DATA words<>+216(SB)/8, $0x682e6ff35b9cca4f
DATA words<>+224(SB)/8, $0x78a5636f748f82ee
DATA words<>+232(SB)/8, $0x8cc7020884c87814
DATA words<>+240(SB)/8, $0xa4506ceb90befffa
DATA words<>+248(SB)/8, $0xc67178f2bef9a3f7
GLOBL words<>(SB), RODATA|NOPTR, $256
