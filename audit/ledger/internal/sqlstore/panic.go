package sqlstore

import (
	"runtime/debug"

	"rekey/audit/ledger"
)

func newPanic(v any) error { return &ledger.PanicError{Value: v, Stack: debug.Stack()} }
