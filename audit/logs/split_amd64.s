#include "textflag.h"

// func splitLineAVX2(s []byte) (open, end, length int)
//
// Three loops: until the first quote, until the second, until the newline. Where that
// stands in the same 32 bytes as a quote, only quotes before it count.
TEXT ·splitLineAVX2(SB), NOSPLIT, $0-48
	MOVQ s_base+0(FP), SI
	MOVQ s_len+8(FP), CX
	SUBQ $32, CX         // the last place from which 32 fit
	MOVQ $0x22, AX
	VMOVQ AX, X0
	VPBROADCASTB X0, Y0  // quotes
	MOVQ $0x0a, AX
	VMOVQ AX, X1
	VPBROADCASTB X1, Y1  // newlines
	MOVQ $-1, R10        // open
	MOVQ $-1, R11        // end
	XORQ AX, AX

before:
	CMPQ AX, CX
	JGT  none
	VMOVDQU   (SI)(AX*1), Y2
	VPCMPEQB  Y0, Y2, Y3
	VPCMPEQB  Y1, Y2, Y4
	VPMOVMSKB Y3, R8
	VPMOVMSKB Y4, R9
	TESTL R9, R9
	JNZ   last
	TESTL R8, R8
	JNZ   opens
	ADDQ  $32, AX
	JMP   before

opens:
	BSFL R8, BX
	LEAQ (AX)(BX*1), R10
	LEAL -1(R8), DX
	ANDL DX, R8
	JNZ  ends
	ADDQ $32, AX

within:
	CMPQ AX, CX
	JGT  none
	VMOVDQU   (SI)(AX*1), Y2
	VPCMPEQB  Y0, Y2, Y3
	VPCMPEQB  Y1, Y2, Y4
	VPMOVMSKB Y3, R8
	VPMOVMSKB Y4, R9
	TESTL R9, R9
	JNZ   last
	TESTL R8, R8
	JNZ   ends
	ADDQ  $32, AX
	JMP   within

ends:
	BSFL R8, BX
	LEAQ (AX)(BX*1), R11
	ADDQ $32, AX

after:
	CMPQ AX, CX
	JGT  none
	VPCMPEQB  (SI)(AX*1), Y1, Y4
	VPMOVMSKB Y4, R9
	TESTL R9, R9
	JNZ   newline
	ADDQ  $32, AX
	JMP   after

last:
	MOVL R9, BX          // of the quotes, those below the newline
	NOTL BX
	LEAL -1(R9), DX
	ANDL DX, BX
	ANDL BX, R8
	JZ   newline
	BSFL R8, BX
	ADDQ AX, BX
	CMPQ R10, $0
	JGE  second
	MOVQ BX, R10
	LEAL -1(R8), DX
	ANDL DX, R8
	JZ   newline
	BSFL R8, BX
	ADDQ AX, BX

second:
	MOVQ BX, R11

newline:
	BSFL R9, BX
	ADDQ BX, AX
	JMP  done

none:
	MOVQ $-1, AX

done:
	MOVQ R10, open+24(FP)
	MOVQ R11, end+32(FP)
	MOVQ AX, length+40(FP)
	VZEROUPPER
	RET
