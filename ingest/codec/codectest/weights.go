// Package codectest generates weights for tests and benchmarks of package codec.
package codectest

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// row is how many weights have one scale.
const row = 1024

// Weights returns n weights with the distribution of trained ones: Gaussian, with a scale for each
// row, and some rows of outliers.
func Weights(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	weights := make([]float32, n)
	scale := 0.0
	for i := range weights {
		if i%row == 0 {
			if scale = 0.02 * math.Exp(0.3*r.NormFloat64()); r.IntN(50) == 0 {
				scale *= 8
			}
		}
		weights[i] = float32(scale * r.NormFloat64())
	}
	return weights
}

// Types are the types that Payload knows.
var Types = []string{"BF16", "F16", "F32", "Q8_0"}

// Payload returns weights as elements of one of Types. Q8_0 needs whole blocks of 32.
func Payload(typ string, weights []float32) []byte {
	var p []byte
	switch typ {
	case "BF16":
		for _, w := range weights {
			bits := math.Float32bits(w)
			p = binary.LittleEndian.AppendUint16(p, uint16((bits+0x7fff+bits>>16&1)>>16))
		}
	case "F16":
		for _, w := range weights {
			p = binary.LittleEndian.AppendUint16(p, half(w))
		}
	case "F32":
		for _, w := range weights {
			p = binary.LittleEndian.AppendUint32(p, math.Float32bits(w))
		}
	case "Q8_0":
		for ; len(weights) >= 32; weights = weights[32:] {
			p = appendQ8(p, weights[:32])
		}
	}
	return p
}

// appendQ8 appends a block as ggml does: a scale, and 32 multiples of it.
func appendQ8(p []byte, weights []float32) []byte {
	most := float32(0)
	for _, w := range weights {
		most = max(most, w, -w)
	}
	scale := most / 127
	p = binary.LittleEndian.AppendUint16(p, half(scale))
	for _, w := range weights {
		p = append(p, byte(int8(math.Round(float64(w/max(scale, math.SmallestNonzeroFloat32))))))
	}
	return p
}

// half returns w in IEEE 754 binary16, rounded to nearest; the weights here are small.
func half(w float32) uint16 {
	bits := math.Float32bits(w)
	sign := uint16(bits >> 16 & 0x8000)
	w = math.Float32frombits(bits &^ (1 << 31))
	if w < 1.0/(1<<14) { // a denormal number
		return sign | uint16(math.RoundToEven(float64(w)*(1<<24)))
	}
	bits = math.Float32bits(w)
	return sign | uint16((bits+0xfff+bits>>13&1)>>13-(127-15)<<10)
}
