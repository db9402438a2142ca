// Package header has what the parsers of headers share: their error, and checks of names and shapes.
package header

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// ErrMemory is wrapped by the [*Error] of a header that needs more memory than its limits allow.
var ErrMemory = errors.New("use a larger --memory or fewer --jobs")

// Error says why a file is refused. The caller adds the file's name.
type Error struct {
	// Offset of the invalid field, or of the first byte that is missing or could not be read, from the
	// file's start.
	Offset int64
	// Reason names the tensor or metadata key and what is wrong with it. Names from the file are
	// quoted.
	Reason string
	// Err is the cause, if any: the error of the reader, [io.ErrUnexpectedEOF] if the reader ended
	// before the given size, or [ErrMemory]. It is nil for a truncated file.
	Err error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("offset %d: %s: %v", e.Offset, e.Reason, e.Err)
	}
	return fmt.Sprintf("offset %d: %s", e.Offset, e.Reason)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Quote returns bytes from a file in a form that is short and safe to print.
func Quote(s string) string {
	const most = 100
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

// Elements multiplies the dimensions of a shape. ok is false if the result does not fit an int64.
func Elements(shape []uint64) (n uint64, ok bool) {
	n, ok = 1, true
	for _, dim := range shape {
		if dim == 0 {
			return 0, true
		}
		hi, lo := bits.Mul64(n, dim)
		ok = ok && hi == 0 && lo <= math.MaxInt64
		n = lo
	}
	return n, ok
}

// Duplicate finds the first name, in file order, that occurred before. It needs 4 bytes of memory
// per name.
func Duplicate(count int, name func(int) string) (first, again int, found bool) {
	order := Sorted(count, func(a, b int) int { return cmp.Compare(name(a), name(b)) })
	again = count
	for i := 1; i < count; i++ {
		a, b := int(order[i-1]), int(order[i])
		if b < again && name(a) == name(b) {
			first, again, found = a, b, true
		}
	}
	return first, again, found
}

// Sorted returns the numbers below count in the order of compare; equal ones in their own order.
func Sorted(count int, compare func(a, b int) int) []uint32 {
	order := make([]uint32, count)
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return cmp.Or(compare(int(a), int(b)), cmp.Compare(a, b)) })
	return order
}

// TextJSON returns a text of length bytes as JSON: a string, or an object with length and first bytes
// if text is only its beginning.
func TextJSON(text string, length uint64) ([]byte, error) {
	if length <= uint64(len(text)) {
		return json.Marshal(text)
	}
	return json.Marshal(struct {
		Type   string `json:"type"`
		Length uint64 `json:"length"`
		First  string `json:"first"`
	}{"string", length, text})
}
