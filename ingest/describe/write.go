package describe

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/hartonomous/ingest/ingest"
)

// window is that of the compression, and bounds the memory of readers and writers.
const window = 256 << 10

// write writes the lines of a frame to w, compressed, and returns their size in bytes.
func write(compressor *zstd.Encoder, w io.Writer, s *source) (int64, error) {
	compressor.Reset(w)
	size := &counter{to: compressor}
	lines := json.NewEncoder(size)
	lines.SetEscapeHTML(false)
	if err := lines.Encode(s.Head); err != nil {
		return 0, err
	}
	var end End
	for t, err := range s.tensors {
		if err == nil {
			err = lines.Encode(t)
		}
		if err != nil {
			return 0, err
		}
		end.Tensors++
	}
	for segment, err := range s.segments {
		if err == nil {
			err = lines.Encode(segment)
		}
		if err != nil {
			return 0, err
		}
		end.Segments++
	}
	err := errors.Join(lines.Encode(endLine{&end}), compressor.Close())
	return size.bytes, err
}

// counter counts what is written.
type counter struct {
	to    io.Writer
	bytes int64
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	return c.to.Write(p)
}

func newCompressor() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(window))
}

// maxInMemory is the maximum size of a file that is written in memory, in bytes.
const maxInMemory = 1 << 20

// spool holds a file until it is stored: its name has its digest.
type spool struct {
	bytes  int64
	frames []frame
	memory bytes.Buffer
	file   *os.File // once it is larger than maxInMemory
	named  bool     // file still has a name
}

// Write implements io.Writer.
func (s *spool) Write(p []byte) (int, error) {
	s.bytes += int64(len(p))
	if s.file == nil && s.bytes <= maxInMemory {
		return s.memory.Write(p)
	}
	if s.file == nil {
		var err error
		if s.file, err = os.CreateTemp("", "ingest-describe-*"); err != nil {
			return 0, err
		}
		// A kill leaves no file. Windows does not remove a file that is open.
		s.named = os.Remove(s.file.Name()) != nil
		if _, err := s.file.Write(s.memory.Bytes()); err != nil {
			return 0, err
		}
		s.memory = bytes.Buffer{}
	}
	return s.file.Write(p)
}

// add adds a frame. If that fails, the spool is as it was before.
func (s *spool) add(compressor *zstd.Encoder, from *source) error {
	begin := s.bytes
	size, err := write(compressor, s, from)
	if err != nil {
		return errors.Join(err, s.truncate(begin))
	}
	s.frames = append(s.frames, frame{s.bytes - begin, size})
	return nil
}

func (s *spool) truncate(size int64) error {
	s.bytes = size
	if s.file == nil {
		s.memory.Truncate(int(size))
		return nil
	}
	_, err := s.file.Seek(size, io.SeekStart)
	return errors.Join(err, s.file.Truncate(size))
}

// finish adds the table of the frames, and returns the description with this sequence.
func (s *spool) finish(sequence int64) (ingest.Description, error) {
	table, err := seekTable(s.frames)
	if err == nil {
		_, err = s.Write(table)
	}
	digest := sha256.New()
	if err == nil {
		_, err = io.Copy(digest, io.NewSectionReader(s.content(), 0, s.bytes))
	}
	return ingest.Description{Sequence: sequence, Content: ingest.Digest(digest.Sum(nil)), Bytes: s.bytes}, err
}

// content returns what was written.
func (s *spool) content() io.ReaderAt {
	if s.file != nil {
		return s.file
	}
	return bytes.NewReader(s.memory.Bytes())
}

// close deletes the temporary file.
func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if s.named {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	return err
}
