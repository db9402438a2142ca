package describe

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/hartonomous/ingest/ingest"
)

// The table at the end of a file is that of the "Zstandard Seekable Format", version 0.1.0, which is in the
// repository facebook/zstd, contrib/seekable_format. All numbers are little-endian, of 32 bits:
//
//	0x184D2A5E  the size of the rest            a frame that decompressors skip
//	size compressed, size decompressed          for each frame
//	the number of frames, a byte 0, 0x8F92EAB1  the footer
const (
	skippable   = 0x184D2A5E
	seekable    = 0x8F92EAB1
	tableHeader = 8
	tableEntry  = 8
	tableFooter = 9
	maxTable    = 10_000 // frames
)

// frame has the sizes of a frame, in bytes.
type frame struct{ compressed, lines int64 }

// seekTable returns the table of frames.
func seekTable(frames []frame) ([]byte, error) {
	n := len(frames)
	table := binary.LittleEndian.AppendUint32(nil, skippable)
	table = binary.LittleEndian.AppendUint32(table, uint32(n*tableEntry+tableFooter))
	for _, f := range frames {
		if max(f.compressed, f.lines) > math.MaxUint32 {
			return nil, fmt.Errorf("the description of a model has %d bytes: 4 GiB is the limit", f.lines)
		}
		table = binary.LittleEndian.AppendUint32(table, uint32(f.compressed))
		table = binary.LittleEndian.AppendUint32(table, uint32(f.lines))
	}
	table = append(binary.LittleEndian.AppendUint32(table, uint32(n)), 0)
	return binary.LittleEndian.AppendUint32(table, seekable), nil
}

// parseFooter returns the size of the table whose last bytes footer is.
func parseFooter(footer []byte, file int64) (int64, error) {
	n := int64(binary.LittleEndian.Uint32(footer))
	size := tableHeader + n*tableEntry + tableFooter
	if binary.LittleEndian.Uint32(footer[5:]) != seekable || footer[4] != 0 || size > file || n > maxTable {
		return 0, fmt.Errorf("%w: it has no table at its end", ErrDamaged)
	}
	return size, nil
}

// parseTable returns the frames of a file of this size, whose last bytes table is.
func parseTable(table []byte, file int64) ([]frame, error) {
	entries := table[tableHeader : len(table)-tableFooter]
	frames := make([]frame, len(entries)/tableEntry)
	total := int64(len(table))
	for i := range frames {
		e := entries[i*tableEntry:]
		frames[i] = frame{int64(binary.LittleEndian.Uint32(e)), int64(binary.LittleEndian.Uint32(e[4:]))}
		total += frames[i].compressed
	}
	if total != file || binary.LittleEndian.Uint32(table) != skippable ||
		int(binary.LittleEndian.Uint32(table[4:])) != len(entries)+tableFooter {
		return nil, fmt.Errorf("%w: its table is not that of its frames", ErrDamaged)
	}
	return frames, nil
}

// Frame is a frame of a file in a store.
type Frame struct {
	File         ingest.Description
	Index        int // in the file
	offset, size int64
}
