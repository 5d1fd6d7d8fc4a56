#include "textflag.h"

// Both kernels look at 64 places at a time. Y5 is newlines; how many they have passed is
// counted bytewise in Y6 and Y7, which hold 254 rounds: then the caller calls again.

// BEGIN reads what both are asked, and bounds CX, the last place from which 64 fit with what
// belongs to them, a refusal's four bytes at least; from BX on 128 do.
#define BEGIN \
	MOVQ s_base+0(FP), SI         \
	MOVQ s_len+8(FP), CX          \
	MOVQ gap+24(FP), DX           \
	VPBROADCASTB a+32(FP), Y0     \
	VPBROADCASTB b+33(FP), Y1     \
	MOVQ $0x0a, AX                \
	VMOVQ AX, X5                  \
	VPBROADCASTB X5, Y5           \
	VPXOR Y6, Y6, Y6              \
	VPXOR Y7, Y7, Y7              \
	LEAQ (SI)(DX*1), DI           \
	SUBQ $64, CX                  \
	MOVQ $4, AX                   \
	CMPQ DX, AX                   \
	CMOVQLT AX, DX                \
	SUBQ DX, CX                   \
	MOVQ $(254*64), AX            \
	CMPQ CX, AX                   \
	CMOVQGT AX, CX                \
	LEAQ -64(CX), BX              \
	XORQ R10, R10                 \
	XORQ AX, AX

// HITS collects in R8 which of the 64 places are hits in lo and hi.
#define HITS(lo, hi) \
	VPMOVMSKB lo, R8              \
	VPMOVMSKB hi, R9              \
	SHLQ $32, R9                  \
	ORQ  R9, R8

// SIFT takes the lowest hits out of R8 that are quotes without a refusal behind them, the four
// bytes ` 401` or ` 403`, which differ by one bit; and quotes that are escaped, behind a
// backslash that is not behind another. It goes on at stop with one that stays.
#define SIFT \
	LEAQ (SI)(AX*1), R11          \
sift:                             \
	BSFQ R8, R9                   \
	MOVBLZX (R11)(R9*1), R12      \
	CMPL R12, $0x22               \
	JNE  stop                     \
	MOVL 1(R11)(R9*1), R12        \
	ORL  $0x02000000, R12         \
	CMPL R12, $0x33303420         \
	JNE  drop                     \
	LEAQ (AX)(R9*1), R12          \
	CMPQ R12, $2                  \
	JLT  stop                     \
	MOVBLZX -1(R11)(R9*1), R12    \
	CMPL R12, $0x5c               \
	JNE  stop                     \
	MOVBLZX -2(R11)(R9*1), R12    \
	CMPL R12, $0x5c               \
	JEQ  stop                     \
drop:                             \
	LEAQ -1(R8), R9               \
	ANDQ R9, R8                   \
	JNZ  sift

// FOUND answers the place of the lowest hit in R8; R10 is how many newlines there are below it
// among the 64, of which nlo and nhi are masks.
#define FOUND(nlo, nhi) \
	VPMOVMSKB nlo, R10            \
	VPMOVMSKB nhi, R9             \
	SHLQ $32, R9                  \
	ORQ  R9, R10                  \
	LEAQ -1(R8), R9               \
	BSFQ R8, DX                   \
	NOTQ R8                       \
	ANDQ R8, R9                   \
	ANDQ R9, R10                  \
	POPCNTQ R10, R10              \
	ADDQ DX, AX

// PASSED leaves the 64 behind: nothing among them stayed.
#define PASSED \
	VPSUBB   Y8, Y6, Y6           \
	VPSUBB   Y9, Y7, Y7           \
	ADDQ     $64, AX              \
	JMP      wide

// ANSWER adds up the newlines.
#define ANSWER \
	VPXOR Y0, Y0, Y0              \
	VPSADBW Y6, Y0, Y6            \
	VPSADBW Y7, Y0, Y7            \
	VPADDQ Y6, Y7, Y6             \
	VEXTRACTI128 $1, Y6, X7       \
	VPADDQ X6, X7, X6             \
	VPSRLDQ $8, X6, X7            \
	VPADDQ X6, X7, X6             \
	VMOVQ X6, R8                  \
	ADDQ R10, R8                  \
	MOVQ AX, at+40(FP)            \
	MOVQ R8, lines+48(FP)         \
	VZEROUPPER

// PAIRED adds to Y12 where text, the 32 bytes at off, holds a and, gap further on, b.
#define PAIRED(text, off) \
	VPCMPEQB text, Y0, Y13        \
	VPCMPEQB off(DI)(AX*1), Y1, Y14 \
	VPAND    Y13, Y14, Y13        \
	VPOR     Y13, Y12, Y12

// PAIRED4 reads 128 bytes and does so with all of them.
#define PAIRED4 \
	VMOVDQU (SI)(AX*1), Y8        \
	VMOVDQU 32(SI)(AX*1), Y9      \
	VMOVDQU 64(SI)(AX*1), Y10     \
	VMOVDQU 96(SI)(AX*1), Y11     \
	VPXOR   Y12, Y12, Y12         \
	PAIRED(Y8, 0)                 \
	PAIRED(Y9, 32)                \
	PAIRED(Y10, 64)               \
	PAIRED(Y11, 96)

// REFUSED adds to Y12 where it holds a quote two before a "4", or a "%".
#define REFUSED(text, off) \
	VPCMPEQB text, Y2, Y13        \
	VPCMPEQB (off+2)(SI)(AX*1), Y3, Y14 \
	VPAND    Y13, Y14, Y13        \
	VPOR     Y13, Y12, Y12        \
	VPCMPEQB text, Y4, Y13        \
	VPOR     Y13, Y12, Y12

// COUNT4 counts the newlines of the four.
#define COUNT4 \
	VPCMPEQB Y8, Y5, Y8           \
	VPCMPEQB Y9, Y5, Y9           \
	VPCMPEQB Y10, Y5, Y10         \
	VPCMPEQB Y11, Y5, Y11         \
	VPSUBB   Y8, Y6, Y6           \
	VPSUBB   Y9, Y7, Y7           \
	VPSUBB   Y10, Y6, Y6          \
	VPSUBB   Y11, Y7, Y7

// func pairAVX2(s []byte, gap int, a, b byte, sift bool) (at, lines int)
TEXT ·pairAVX2(SB), NOSPLIT, $0-56
	BEGIN

wide: // two rounds at once, which are begun again where something is found
	CMPQ AX, BX
	JGT  next
	PAIRED4
	VPTEST Y12, Y12
	JNZ  next
	COUNT4
	ADDQ $128, AX
	JMP  wide

next:
	CMPQ AX, CX
	JGT  none
	VMOVDQU  (SI)(AX*1), Y8
	VMOVDQU  32(SI)(AX*1), Y9
	VPCMPEQB Y8, Y0, Y10
	VPCMPEQB (DI)(AX*1), Y1, Y12
	VPCMPEQB Y9, Y0, Y11
	VPCMPEQB 32(DI)(AX*1), Y1, Y13
	VPAND    Y10, Y12, Y10
	VPAND    Y11, Y13, Y11
	VPCMPEQB Y8, Y5, Y8
	VPCMPEQB Y9, Y5, Y9
	VPOR     Y10, Y11, Y12
	VPTEST   Y12, Y12
	JNZ      found
	VPSUBB   Y8, Y6, Y6
	VPSUBB   Y9, Y7, Y7
	ADDQ     $64, AX
	JMP      next

found:
	HITS(Y10, Y11)
	CMPB sift+34(FP), $0
	JEQ  stop
	SIFT
	PASSED

stop:
	FOUND(Y8, Y9)
	JMP answer

none:
	NOTQ AX // -1-n: there is none among the first n

answer:
	ANSWER
	RET

// func refusalAVX2(s []byte, gap int, a, b byte) (at, lines int)
//
// As pairAVX2, and refusals, and a "%".
TEXT ·refusalAVX2(SB), NOSPLIT, $0-56
	BEGIN
	MOVQ $0x22, R8
	VMOVQ R8, X2
	VPBROADCASTB X2, Y2 // quotes
	MOVQ $0x34, R8
	VMOVQ R8, X3
	VPBROADCASTB X3, Y3 // fours
	MOVQ $0x25, R8
	VMOVQ R8, X4
	VPBROADCASTB X4, Y4 // percent signs

wide:
	CMPQ AX, BX
	JGT  next
	PAIRED4
	REFUSED(Y8, 0)
	REFUSED(Y9, 32)
	REFUSED(Y10, 64)
	REFUSED(Y11, 96)
	VPTEST Y12, Y12
	JNZ  next
	COUNT4
	ADDQ $128, AX
	JMP  wide

next:
	CMPQ AX, CX
	JGT  none
	VMOVDQU  (SI)(AX*1), Y8
	VMOVDQU  32(SI)(AX*1), Y9
	VPCMPEQB Y8, Y0, Y10
	VPCMPEQB (DI)(AX*1), Y1, Y11
	VPCMPEQB Y8, Y2, Y12
	VPCMPEQB 2(SI)(AX*1), Y3, Y13
	VPAND    Y10, Y11, Y10
	VPAND    Y12, Y13, Y12
	VPCMPEQB Y8, Y4, Y11
	VPOR     Y10, Y12, Y10
	VPCMPEQB Y8, Y5, Y8
	VPOR     Y10, Y11, Y10
	VPCMPEQB Y9, Y0, Y11
	VPCMPEQB 32(DI)(AX*1), Y1, Y12
	VPCMPEQB Y9, Y2, Y13
	VPCMPEQB 34(SI)(AX*1), Y3, Y14
	VPAND    Y11, Y12, Y11
	VPAND    Y13, Y14, Y13
	VPCMPEQB Y9, Y4, Y12
	VPOR     Y11, Y13, Y11
	VPCMPEQB Y9, Y5, Y9
	VPOR     Y11, Y12, Y11
	VPOR     Y10, Y11, Y12
	VPTEST   Y12, Y12
	JNZ      found
	VPSUBB   Y8, Y6, Y6
	VPSUBB   Y9, Y7, Y7
	ADDQ     $64, AX
	JMP      next

found:
	HITS(Y10, Y11)
	SIFT
	PASSED

stop:
	FOUND(Y8, Y9)
	JMP answer

none:
	NOTQ AX

answer:
	ANSWER
	RET
