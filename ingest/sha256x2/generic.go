package sha256x2

import (
	"crypto/sha256"
	"encoding"
	"errors"
	"sync"
)

// compressBothStd is compressBoth with crypto/sha256. It uses a second goroutine for large inputs.
func compressBothStd(a, b *state, ofA, ofB []byte) {
	const parallelBytes = 16 << 10
	if len(ofA) < parallelBytes {
		compress(a, ofA)
		compress(b, ofB)
		return
	}
	var other sync.WaitGroup
	other.Go(func() { compress(b, ofB) })
	compress(a, ofA)
	other.Wait()
}

// compress adds whole blocks to one state with crypto/sha256, the fastest for a single one. It reads
// and returns the state in marshalled form.
func compress(s *state, blocks []byte) {
	h := Hash{state: *s}
	before, _ := h.MarshalBinary() // never fails
	std := sha256.New()
	err := std.(encoding.BinaryUnmarshaler).UnmarshalBinary(before)
	std.Write(blocks)
	after, marshalErr := std.(encoding.BinaryMarshaler).MarshalBinary()
	if err = errors.Join(err, marshalErr); err == nil {
		err = h.UnmarshalBinary(after)
	}
	if err != nil {
		panic("crypto/sha256 marshals its state differently: " + err.Error())
	}
	*s = h.state
}
