// Package codec encodes payloads of model weights without loss. README.md in this folder is the
// written format.
//
// The bits of a weight differ in how predictable they are: exponents repeat, mantissas are noise.
// Encode divides the elements of a payload into fields and collects each field in a plane. It codes
// the planes that a sample shows to be compressible, with a Huffman code for each, and stores the
// others as they are. Bytes that are not weights are compressed with zstd. Encode returns nil for a
// payload that would hardly get smaller; the caller stores the bytes themselves. It does not decode
// what it encoded: the tests, among them a second decoder, are what a caller relies on.
//
// Encoder and Decoder work in memory, do no I/O, and have no options but the Level.
package codec

import (
	"errors"
	"fmt"
)

// Name is the value of column Codec of a payload in this package's format.
const Name = "planes1"

// DecoderBytes is the most memory that a Decoder keeps.
const DecoderBytes = 2 << 20

// ErrCorrupt: the encoded payload is damaged.
var ErrCorrupt = errors.New("encoded payload is corrupt")

// Level is how hard Encode tries. It implements pflag.Value.
type Level int

// The levels. The zero value is Off.
const (
	Off  Level = iota // never encodes
	Auto              // codes planes that save much, at the speed of a disk
	Max               // also codes planes that save little
)

var levelNames = [...]string{"off", "auto", "max"}

// EncoderBytes returns the most memory that an Encoder keeps at this level.
func (l Level) EncoderBytes() int64 {
	switch l {
	case Off:
		return 0
	case Auto:
		return 4 << 20
	}
	return 7 << 20
}

// String returns the name of l: off, auto or max.
func (l Level) String() string { return levelNames[l] }

// Set sets l by its name.
func (l *Level) Set(name string) error {
	for i, known := range levelNames {
		if name == known {
			*l = Level(i)
			return nil
		}
	}
	return fmt.Errorf("%q: want off, auto or max", name)
}

// Type returns the placeholder for the help.
func (l *Level) Type() string { return "off|auto|max" }
