// Package llamafile finds the GGUF in a llamafile: a program with a ZIP archive at its end, in which
// the weights are stored without compression, so that they can be mapped into memory.
//
// The file is not trusted: nothing is allocated for a number in it, and positions are checked against
// its size. The structures are those of APPNOTE.TXT 6.3.10 of PKWARE, sections 4.3.7 and 4.3.12 to
// 4.3.16; the use of them is that of github.com/mozilla-ai/llamafile.
package llamafile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/hartonomous/ingest/ingest/format/header"
)

const (
	endBytes       = 22 // without the comment
	end64Bytes     = 56
	locator64Bytes = 20
	entryBytes     = 46
	localBytes     = 30
	maxComment     = 1<<16 - 1
	maxDirectory   = 1 << 20 // a llamafile has a few files
	in64           = 0xffffffff
)

// IsName reports whether a file has the name of a llamafile.
func IsName(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".llamafile") || strings.HasSuffix(name, ".llamafile.exe")
}

// Weights is the GGUF in a llamafile.
type Weights struct {
	Offset, Size int64
	More         int // other GGUFs in the archive
}

// invalid returns the error of a file that is not a llamafile. The field in question is at offset.
func invalid(offset int64, format string, args ...any) error {
	return &header.Error{Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// archive is a ZIP archive of size bytes.
type archive struct {
	src  io.ReaderAt
	size int64
}

// Find returns the largest GGUF in the archive at the end of a file of size bytes.
func Find(src io.ReaderAt, size int64) (Weights, error) {
	a := archive{src, size}
	directory, start, base, err := a.directory()
	if err != nil {
		return Weights{}, err
	}
	var found Weights
	count, end := 0, start+int64(len(directory))
	for len(directory) > 0 {
		e, rest, err := parseEntry(directory, end-int64(len(directory)))
		if err != nil {
			return Weights{}, err
		}
		directory = rest
		if !strings.HasSuffix(strings.ToLower(e.name), ".gguf") {
			continue
		}
		if count++; e.size <= found.Size && count > 1 {
			continue
		}
		if e.method != 0 {
			return Weights{}, invalid(e.at, "%.100q is compressed", e.name)
		}
		offset, err := a.data(base, e)
		if err != nil {
			return Weights{}, err
		}
		found = Weights{Offset: offset, Size: e.size}
	}
	if count == 0 {
		return Weights{}, invalid(start, "its archive has no .gguf")
	}
	found.More = count - 1
	return found, nil
}

// read returns n bytes at an offset. Both have been checked against the size of the file.
func (a archive) read(at int64, n int) ([]byte, error) {
	p := make([]byte, n)
	if got, err := a.src.ReadAt(p, at); got < n {
		return nil, &header.Error{Offset: at, Reason: fmt.Sprintf("%d bytes of its archive", n), Err: err}
	}
	return p, nil
}

// directory returns the central directory, its offset, and the offset that is 0 in the archive.
func (a archive) directory() (directory []byte, start, base int64, err error) {
	n := min(a.size, endBytes+maxComment+locator64Bytes)
	tail, err := a.read(a.size-n, int(n))
	if err != nil {
		return nil, 0, 0, err
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || len(tail)-at < endBytes {
		return nil, 0, 0, invalid(a.size, "it has no ZIP archive at its end: is it truncated?")
	}
	end := a.size - n + int64(at)
	size, offset := uint64(binary.LittleEndian.Uint32(tail[at+12:])), uint64(binary.LittleEndian.Uint32(tail[at+16:]))
	if size == in64 || offset == in64 {
		if at < locator64Bytes || string(tail[at-locator64Bytes:][:4]) != "PK\x06\x07" {
			return nil, 0, 0, invalid(end, "its ZIP archive has no end of 64 bits")
		}
		end64 := binary.LittleEndian.Uint64(tail[at-locator64Bytes+8:])
		if a.size < end64Bytes || end64 > uint64(a.size-end64Bytes) {
			return nil, 0, 0, invalid(end, "the end of its ZIP archive is beyond that of the file")
		}
		p, err := a.read(int64(end64), end64Bytes)
		if err != nil {
			return nil, 0, 0, err
		}
		if string(p[:4]) != "PK\x06\x06" {
			return nil, 0, 0, invalid(int64(end64), "its ZIP archive has no end of 64 bits")
		}
		end, size, offset = int64(end64), binary.LittleEndian.Uint64(p[40:]), binary.LittleEndian.Uint64(p[48:])
	}
	if size > maxDirectory || size > uint64(end) || offset > uint64(end)-size {
		return nil, 0, 0, invalid(end, "its ZIP archive has a directory of %d bytes at %d", size, offset)
	}
	start = end - int64(size)
	directory, err = a.read(start, int(size))
	return directory, start, start - int64(offset), err
}

// entry is a file of the archive.
type entry struct {
	at     int64 // its offset in the file
	name   string
	method uint16
	size   int64
	local  uint64 // offset of its own header in the archive
}

// parseEntry parses the first entry of a directory, which is at an offset in the file, and returns the
// others.
func parseEntry(p []byte, at int64) (e entry, rest []byte, err error) {
	if len(p) < entryBytes || string(p[:4]) != "PK\x01\x02" {
		return e, nil, invalid(at, "the directory of its ZIP archive is damaged")
	}
	u16 := func(at int) int { return int(binary.LittleEndian.Uint16(p[at:])) }
	nameBytes, extraBytes := u16(28), u16(30)
	total := entryBytes + nameBytes + extraBytes + u16(32)
	if total > len(p) {
		return e, nil, invalid(at, "the directory of its ZIP archive is damaged")
	}
	e.at, e.name, e.method = at, string(p[entryBytes:entryBytes+nameBytes]), binary.LittleEndian.Uint16(p[10:])
	packed, size := uint64(binary.LittleEndian.Uint32(p[20:])), uint64(binary.LittleEndian.Uint32(p[24:]))
	e.local = uint64(binary.LittleEndian.Uint32(p[42:]))
	long := extraField(p[entryBytes+nameBytes:][:extraBytes], 1)
	for _, field := range []*uint64{&size, &packed, &e.local} { // in this order, if they need 64 bits
		if *field == in64 && len(long) >= 8 {
			*field, long = binary.LittleEndian.Uint64(long), long[8:]
		}
	}
	if size > 1<<62 || e.method == 0 && packed != size {
		return e, nil, invalid(at, "%.100q has a wrong size in its ZIP archive", e.name)
	}
	e.size = int64(size)
	return e, p[total:], nil
}

// extraField returns the extra field with a number; nil if there is none.
func extraField(extra []byte, number uint16) []byte {
	for len(extra) >= 4 {
		n := int(binary.LittleEndian.Uint16(extra[2:]))
		if n > len(extra)-4 {
			return nil
		}
		if binary.LittleEndian.Uint16(extra) == number {
			return extra[4 : 4+n]
		}
		extra = extra[4+n:]
	}
	return nil
}

// data returns the offset of an entry's content in the file.
func (a archive) data(base int64, e entry) (int64, error) {
	if e.local > uint64(a.size) || base > a.size-int64(e.local)-localBytes {
		return 0, invalid(e.at, "%.100q begins beyond the end of the file", e.name)
	}
	at := base + int64(e.local)
	p, err := a.read(at, localBytes)
	if err != nil {
		return 0, err
	}
	if string(p[:4]) != "PK\x03\x04" {
		return 0, invalid(at, "%.100q has no header in its ZIP archive", e.name)
	}
	start := at + localBytes + int64(binary.LittleEndian.Uint16(p[26:])) + int64(binary.LittleEndian.Uint16(p[28:]))
	if start > a.size || e.size > a.size-start {
		return 0, invalid(at, "the %d bytes of %.100q at %d extend beyond the end of the file", e.size, e.name, start)
	}
	return start, nil
}
