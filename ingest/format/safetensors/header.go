package safetensors

import (
	"math"
	"math/bits"

	"github.com/hartonomous/ingest/ingest/format/header"
)

const (
	metadataKey = "__metadata__"
	keptText    = 4 << 10 // bytes kept of a text
	kvBytes     = 160     // memory of a KV without its texts, with the growth of the slice and sorting
	typeBytes   = 128     // memory of an entry in reader.types
)

// TensorBytes is the memory of a Tensor in bytes, without its name and shape, but with the growth
// of the slice and sorting.
const TensorBytes = 224

// header reads the JSON object and what may follow it.
func (r *reader) header(f *File) error {
	metadataAt := int64(0)
	err := r.object("{", r.end, func(at int64) error {
		if string(r.text) != metadataKey {
			return r.tensor(f, at)
		}
		if metadataAt != 0 {
			return r.fail(at, "%s is used twice, first at offset %d", metadataKey, metadataAt)
		}
		metadataAt = at
		return r.metadata(f)
	})
	if err != nil {
		return err
	}
	c, more, err := r.space()
	if more {
		return r.unexpected(c, "only white space after the JSON object")
	}
	return err
}

// metadata reads __metadata__, which is null or has texts.
func (r *reader) metadata(f *File) error {
	const want = "an object with the metadata"
	c, err := r.token(want)
	if err != nil {
		return err
	}
	if c == 'n' {
		return r.word("null")
	}
	defer func() { r.kind = "" }()
	return r.object(want, maxKey, func(at int64) error {
		if err := r.charge(kvBytes); err != nil {
			return err
		}
		kv := KV{at: uint32(at)}
		if kv.Key, err = r.kept(); err != nil {
			return err
		}
		r.kind, r.name = "metadata key", kv.Key
		if _, kv.Value.Length, err = r.string("a text", keptText, r.end); err != nil {
			return err
		}
		if kv.Value.Text, err = r.kept(); err != nil {
			return err
		}
		f.Metadata = append(f.Metadata, kv)
		r.kind = ""
		return nil
	})
}

// info is a tensor while it is read. Offsets in the file are 0 for fields that it does not have.
type info struct {
	Tensor
	begin, end               uint64
	atDtype, atShape, atData int64
}

// tensor reads the value of the key in r.text.
func (r *reader) tensor(f *File, at int64) error {
	if err := r.charge(TensorBytes); err != nil {
		return err
	}
	t := info{Tensor: Tensor{at: uint32(at)}}
	var err error
	if t.Name, err = r.kept(); err != nil {
		return err
	}
	r.kind, r.name = "tensor", t.Name
	err = r.object("an object with dtype, shape and data_offsets", maxKey, func(at int64) error {
		return r.field(f, &t, at)
	})
	if err != nil {
		return err
	}
	for _, field := range [...]struct {
		at   int64
		name string
	}{{t.atDtype, "dtype"}, {t.atShape, "shape"}, {t.atData, "data_offsets"}} {
		if field.at == 0 {
			return r.fail(at, "it has no %s", field.name)
		}
	}
	if err := r.measure(f, &t); err != nil {
		return err
	}
	r.kind = ""
	f.Tensors = append(f.Tensors, t.Tensor)
	return nil
}

// field reads the value of the key in r.text.
func (r *reader) field(f *File, t *info, at int64) error {
	switch string(r.text) {
	case "dtype":
		return r.once(&t.atDtype, at, func() error { return r.dtype(t) })
	case "shape":
		return r.once(&t.atShape, at, func() error { return r.dimensions(t) })
	case "data_offsets":
		return r.once(&t.atData, at, func() error { return r.offsets(t) })
	}
	f.Ignored++
	return r.skip(0)
}

// once reads a field, whose name starts at an offset, unless the tensor already has it.
func (r *reader) once(first *int64, at int64, read func() error) error {
	if *first != 0 {
		return r.fail(at, "%s is used twice, first at offset %d", r.text, *first)
	}
	*first = at
	return read()
}

func (r *reader) dtype(t *info) error {
	at, n, err := r.string("a text with the type", maxDtype, maxDtype)
	if err != nil {
		return err
	}
	if n == 0 {
		return r.fail(at, "dtype is empty")
	}
	t.Dtype, err = r.intern()
	return err
}

// intern returns the type in r.text. It keeps one copy of a name.
func (r *reader) intern() (Dtype, error) {
	if d, ok := r.types[string(r.text)]; ok {
		return d, nil
	}
	if err := r.charge(typeBytes); err != nil {
		return "", err
	}
	name, err := r.kept()
	r.types[name] = Dtype(name)
	return Dtype(name), err
}

func (r *reader) dimensions(t *info) error {
	n := 0
	err := r.list('[', ']', "a list with the shape", func() error {
		size, err := r.uint("the size of a dimension")
		if err != nil {
			return err
		}
		if n == maxDims {
			return r.fail(r.pos, "more than %d dimensions", maxDims)
		}
		r.shape[n] = size
		n++
		return nil
	})
	if err != nil || n == 0 {
		return err
	}
	if err := r.charge(int64(n+1) * 8); err != nil {
		return err
	}
	t.Shape = append(make([]uint64, 0, n), r.shape[:n]...)
	return nil
}

func (r *reader) offsets(t *info) error {
	var pair [2]uint64
	n := 0
	err := r.list('[', ']', "a list with two offsets", func() error {
		if n == len(pair) {
			return r.fail(r.pos, "data_offsets has more than two numbers")
		}
		var err error
		pair[n], err = r.uint("an offset")
		n++
		return err
	})
	if err == nil && n < len(pair) {
		return r.fail(t.atData, "data_offsets has %d numbers, want two", n)
	}
	t.begin, t.end = pair[0], pair[1]
	return err
}

// measure compares the size of a tensor with its type and shape, and sets its position.
func (r *reader) measure(f *File, t *info) error {
	switch {
	case t.begin > t.end:
		return r.fail(t.atData, "data_offsets [%d, %d] end before they begin", t.begin, t.end)
	case t.end > uint64(math.MaxInt64-f.DataOffset):
		return r.fail(t.atData, "data_offsets [%d, %d] are beyond the end of any file", t.begin, t.end)
	}
	t.atOffsets, t.Offset, t.Size = uint32(t.atData), f.DataOffset+int64(t.begin), int64(t.end-t.begin)
	var ok bool
	if t.Elements, ok = header.Elements(t.Shape); !ok {
		return r.fail(t.atShape, "shape %v has 2^63 elements or more", t.Shape)
	}
	width, known := dtypes[t.Dtype]
	if !known {
		if (t.Elements == 0) != (t.Size == 0) {
			return r.fail(t.atData, "%d elements of the unknown type %s cannot have %d bytes", t.Elements,
				header.Quote(string(t.Dtype)), t.Size)
		}
		return nil
	}
	hi, lo := bits.Mul64(t.Elements, uint64(width)) // in bits; hi is below 2^6
	size := hi<<61 | lo>>3
	switch {
	case lo%8 != 0:
		return r.fail(t.atShape, "%d elements of %s of %d bits each are not whole bytes", t.Elements, t.Dtype, width)
	case hi >= 8:
		return r.fail(t.atShape, "shape %v of %s has 2^64 bytes or more", t.Shape, t.Dtype)
	case size != uint64(t.Size):
		return r.fail(t.atData, "shape %v of %s has %d bytes, but data_offsets [%d, %d] have %d", t.Shape, t.Dtype,
			size, t.begin, t.end, t.Size)
	}
	return nil
}
