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
		compressStd(a, ofA)
		compressStd(b, ofB)
		return
	}
	var other sync.WaitGroup
	other.Go(func() { compressStd(b, ofB) })
	compressStd(a, ofA)
	other.Wait()
}

// compressStd adds whole blocks with crypto/sha256, which reads and returns the state in marshalled
// form.
func compressStd(s *state, blocks []byte) {
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
