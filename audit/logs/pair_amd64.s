#include "textflag.h"

// func indexPairAVX2(s []byte, gap int, a, b byte) int
//
// 64 places at a time: bytes equal to a, and those gap bytes further on equal to b. The
// caller leaves the end of s, where 64 do not fit any more, to plain Go.
TEXT ·indexPairAVX2(SB), NOSPLIT, $0-48
	MOVQ s_base+0(FP), SI
	MOVQ s_len+8(FP), CX
	MOVQ gap+24(FP), DX
	VPBROADCASTB a+32(FP), Y0
	VPBROADCASTB b+33(FP), Y1
	LEAQ (SI)(DX*1), DI // where b is looked for
	SUBQ DX, CX
	SUBQ $64, CX        // the last place from which 64 fit
	XORQ AX, AX

next:
	CMPQ AX, CX
	JGT  none
	VPCMPEQB (SI)(AX*1), Y0, Y2
	VPCMPEQB (DI)(AX*1), Y1, Y3
	VPCMPEQB 32(SI)(AX*1), Y0, Y4
	VPCMPEQB 32(DI)(AX*1), Y1, Y5
	VPAND    Y2, Y3, Y2
	VPAND    Y4, Y5, Y4
	VPOR     Y2, Y4, Y3
	VPTEST   Y3, Y3
	JNZ      found
	ADDQ     $64, AX
	JMP      next

found:
	VPMOVMSKB Y2, R8
	VPMOVMSKB Y4, R9
	SHLQ      $32, R9
	ORQ       R9, R8
	BSFQ      R8, R8
	ADDQ      R8, AX
	MOVQ      AX, ret+40(FP)
	VZEROUPPER
	RET

none:
	NEGQ AX
	DECQ AX             // -1-n: there is none among the first n
	MOVQ AX, ret+40(FP)
	VZEROUPPER
	RET
