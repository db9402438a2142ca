package huggingface

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestShards(t *testing.T) {
	for text, want := range map[string][]string{
		`{"metadata":{"total_size":1},"weight_map":{"b":"2","a":"1","c":"2"}}`: {"1", "2"},
		` { "weight_map" : {"a":"x.safetensors"}, "more" : [1,{"a":[null]}] }`: {"x.safetensors"},
	} {
		if got, err := Shards(strings.NewReader(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

func TestIndexRefuses(t *testing.T) {
	name := func(file string) string { return fmt.Sprintf(`{"weight_map":{"a":%q}}`, file) }
	many := &strings.Builder{}
	for i := range maxShards + 1 {
		fmt.Fprintf(many, `"a%d":"%d",`, i, i)
	}
	for title, test := range map[string]struct{ text, want string }{
		"empty": {"", "unexpected EOF"}, "web page": {"<html>", "invalid character"},
		"no object": {"[]", "want {"}, "no map": {"{}", "it has no weight_map"},
		"empty map": {`{"weight_map":{}}`, "its weight_map is empty"},
		"a number":  {`{"weight_map":{"a":1}}`, "want a string"},
		"a list":    {`{"weight_map":["a"]}`, "want {"},
		"cut":       {`{"weight_map":{"a":"b"`, "unexpected EOF"},
		"up":        {name("../../etc/passwd"), "not a name in its folder"},
		"absolute":  {name("/etc/passwd"), "not a name in its folder"},
		"deeper":    {name("a/b"), "not a name in its folder"},
		"Windows":   {name(`a\b`), "not a name in its folder"},
		"NUL":       {`{"weight_map":{"a":"b\u0000c"}}`, "not a name in its folder"},
		"dot":       {name("."), "not a name in its folder"}, "nothing": {name(""), "not a name in its folder"},
		"long name":   {name(strings.Repeat("x", 300)), "not a name in its folder"},
		"long value":  {`{"weight_map":{"a":"` + strings.Repeat("x", 8<<20), "has more than 1048576 bytes"},
		"nested":      {`{"x":` + strings.Repeat("[", 1000), "nested too deeply"},
		"many shards": {`{"weight_map":{` + many.String(), "more than 100000 files"},
	} {
		_, err := Shards(strings.NewReader(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", title, err, test.want)
		} else if len(err.Error()) > 500 {
			t.Errorf("%s: an error of %d characters", title, len(err.Error()))
		}
	}
}

// endless repeats a text.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

// TestIndexMemory: an index that does not end is refused at its limit, with little memory.
func TestIndexMemory(t *testing.T) {
	src := io.MultiReader(strings.NewReader(`{"weight_map":{"":"a"`), &endless{text: `,"tensor":"file"`})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := index(src, 8<<20, func(string, string) error { return nil })
	runtime.GC()
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "more than") || after.HeapSys > before.HeapSys+4<<20 {
		t.Errorf("%v, %d bytes", err, after.HeapSys-before.HeapSys)
	}
}

// FuzzIndex: accepted names are names of files in a folder.
func FuzzIndex(f *testing.F) {
	f.Add(`{"metadata":{"total_size":1},"weight_map":{"b":"2","a":"1"}}`)
	f.Add(`{"weight_map":{"a":"../x"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		names, err := Shards(strings.NewReader(text))
		if err == nil && len(names) == 0 {
			t.Error("no names")
		}
		for _, name := range names {
			if name == "" || strings.ContainsAny(name, "/\\\x00") || name == ".." {
				t.Errorf("%q", name)
			}
		}
	})
}

func TestRepository(t *testing.T) {
	for folder, want := range map[string]string{"models--me--x": "me/x", "models--gpt2": "gpt2",
		"models--me--a--b": "me/a--b", "datasets--me--x": "", "models--": "", "me": ""} {
		if name, ok := Repository(folder); ok && name != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", folder, name, ok)
		}
	}
	if got := URI("me/x", "main", "a/b.gguf"); got != "hf://me/x@main/a/b.gguf" {
		t.Error(got)
	}
}
