package llamafile

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/header"
)

// build returns a program with an archive of files, which have these methods.
func build(t testing.TB, program string, files map[string]uint16) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteString(program)
	w := zip.NewWriter(&out)
	for _, name := range []string{".args", "a.gguf", "b.GGUF", "c.gguf"} {
		method, ok := files[name]
		if !ok {
			continue
		}
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			_, err = f.Write(contentOf(name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// magic is the start of a program for several systems, as a llamafile is.
const magic = "MZqFpD='"

func contentOf(name string) []byte { return bytes.Repeat([]byte(name), 3+int(name[0])) }

func TestFind(t *testing.T) {
	for _, program := range []string{"", magic + strings.Repeat("x", 5000)} {
		text := build(t, program, map[string]uint16{".args": zip.Store, "a.gguf": zip.Store, "b.GGUF": zip.Store})
		w, err := Find(bytes.NewReader(text), int64(len(text)))
		if err != nil || w.More != 1 ||
			!bytes.Equal(text[w.Offset:w.Offset+w.Size], contentOf("b.GGUF")) {
			t.Errorf("%+v, %v", w, err)
		}
	}
}

func TestFindRefuses(t *testing.T) {
	whole := build(t, magic, map[string]uint16{"a.gguf": zip.Store})
	at := func(signature string, offset int, to ...byte) []byte {
		text := bytes.Clone(whole)
		copy(text[bytes.LastIndex(text, []byte(signature))+offset:], to)
		return text
	}
	for name, test := range map[string]struct {
		text []byte
		want string
	}{
		"empty":             {nil, "no ZIP archive"},
		"no archive":        {[]byte(magic + "abc"), "no ZIP archive"},
		"truncated":         {whole[:len(whole)-1], "no ZIP archive"},
		"no gguf":           {build(t, magic, map[string]uint16{".args": zip.Store}), "its archive has no .gguf"},
		"compressed":        {build(t, magic, map[string]uint16{"a.gguf": zip.Deflate}), "is compressed"},
		"directory size":    {at("PK\x05\x06", 12, 0xff, 0xff, 0xff, 0x7f), "a directory of 2147483647 bytes"},
		"directory offset":  {at("PK\x05\x06", 16, 0xff, 0xff, 0xff, 0x7f), "a directory of"},
		"64 bits":           {at("PK\x05\x06", 16, 0xff, 0xff, 0xff, 0xff), "no end of 64 bits"},
		"directory damaged": {at("PK\x01\x02", 0, 'x'), "is damaged"},
		"name too long":     {at("PK\x01\x02", 28, 0xff, 0xff), "is damaged"},
		"size":              {at("PK\x01\x02", 20, 255, 255, 255, 127, 255, 255, 255, 127), "extend beyond the end"},
		"long extra field":  {at("PK\x03\x04", 28, 0xff, 0xff), "extend beyond the end"},
		"sizes differ":      {at("PK\x01\x02", 24, 0xff, 0xff, 0xff, 0x7f), "a wrong size"},
		"local header":      {at("PK\x01\x02", 42, 0xff, 0xff, 0xff, 0x7f), "begins beyond the end"},
		"no local header":   {at("PK\x01\x02", 42, 1), "has no header in its ZIP"},
	} {
		_, err := Find(bytes.NewReader(test.text), int64(len(test.text)))
		var e *header.Error
		if !errors.As(err, &e) || e.Offset > int64(len(test.text)) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

// FuzzFind: the weights are inside the file, and there is no other outcome than a *header.Error.
func FuzzFind(f *testing.F) {
	f.Add(build(f, magic, map[string]uint16{"a.gguf": zip.Store, ".args": zip.Deflate}))
	f.Add(build(f, "", map[string]uint16{"a.gguf": zip.Store, "b.GGUF": zip.Store}))
	f.Fuzz(func(t *testing.T, text []byte) {
		w, err := Find(bytes.NewReader(text), int64(len(text)))
		var e *header.Error
		if err != nil && (!errors.As(err, &e) || e.Offset < 0 || e.Offset > int64(len(text))) {
			t.Error(err)
		}
		if err == nil && (w.Offset < 0 || w.Size < 0 || w.Offset+w.Size > int64(len(text))) {
			t.Error(fmt.Sprint(w))
		}
	})
}
