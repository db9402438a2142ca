package sha256x2

import (
	"crypto/sha256"
	"encoding"
	"sync"
)

// compressBothStd does by crypto/sha256 what the instructions do, the two at the same time where that is
// worth a goroutine.
func compressBothStd(a, b *state, ofA, ofB []byte) {
	const worthIt = 16 << 10
	if len(ofA) < worthIt {
		compressStd(a, ofA)
		compressStd(b, ofB)
		return
	}
	var other sync.WaitGroup
	other.Go(func() { compressStd(b, ofB) })
	compressStd(a, ofA)
	other.Wait()
}

// compressStd takes in whole blocks. crypto/sha256 is given the state, and asked for it again.
func compressStd(s *state, blocks []byte) {
	h := Hash{state: *s}
	before, _ := h.MarshalBinary() // never fails
	std := sha256.New()
	if err := std.(encoding.BinaryUnmarshaler).UnmarshalBinary(before); err != nil {
		panic("crypto/sha256 has another form of its state: " + err.Error())
	}
	std.Write(blocks)
	after, err := std.(encoding.BinaryMarshaler).MarshalBinary()
	if err == nil {
		err = h.UnmarshalBinary(after)
	}
	if err != nil {
		panic("crypto/sha256 has another form of its state: " + err.Error())
	}
	*s = h.state
}
