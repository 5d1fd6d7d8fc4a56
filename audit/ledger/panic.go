package ledger

import (
	"fmt"
	"runtime"
)

// PanicError is what Update answers when fn panicked. Its text names the value's
// type alone, unless the runtime made it: a panic's value may hold anything.
type PanicError struct {
	Value any
	Stack []byte
}

// Error tells what kind of panic it was.
func (e *PanicError) Error() string {
	if r, ok := e.Value.(runtime.Error); ok {
		return "transaction function panicked: " + r.Error()
	}
	return fmt.Sprintf("transaction function panicked with a value of type %T", e.Value)
}
