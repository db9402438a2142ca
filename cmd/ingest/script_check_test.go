package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/dir"
	"github.com/hartonomous/ingest/storage/sqlite"
)

// cmdExits runs a program that must end with a code: exits CODE PROGRAM ARGS...
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	for i := range args {
		args[i] = unquoted(ts, args[i])
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// cmdJSON checks that every line of stdout is a JSON object with its event or kind, that the last one, and
// no other, is a summary, and that one has all the given fields: [!] json [FIELD | FIELD=VALUE]... A nested
// field is FIELD.FIELD, an item of a list FIELD.0.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	found, ended := false, false
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.UseNumber()
		var object map[string]any
		if err := decoder.Decode(&object); err != nil || decoder.More() {
			ts.Fatalf("not one JSON object: %s (%v)", line, err)
		}
		if ended || object["event"] == nil && object["object"] == nil {
			ts.Fatalf("after the summary, or neither an event nor an object: %s", line)
		}
		ended = object["event"] == "summary"
		found = found || hasFields(object, args)
	}
	if !ended && ts.ReadFile("stdout") != "" {
		ts.Fatalf("no summary in the end: %s", ts.ReadFile("stdout"))
	}
	if found == neg && len(args) > 0 {
		ts.Fatalf("a line with %v: %v, want %v, in\n%s", args, found, !neg, ts.ReadFile("stdout"))
	}
}

func hasFields(object map[string]any, wants []string) bool {
	for _, want := range wants {
		field, value, exact := strings.Cut(want, "=")
		var at any = object
		for _, key := range strings.Split(field, ".") {
			switch within := at.(type) {
			case map[string]any:
				var ok bool
				if at, ok = within[key]; !ok {
					return false
				}
			case []any:
				i, err := strconv.Atoi(key)
				if err != nil || i >= len(within) {
					return false
				}
				at = within[i]
			default:
				return false
			}
		}
		if exact && fmt.Sprint(at) != value {
			return false
		}
	}
	return true
}

// cmdPrintable checks that files contain nothing that a terminal would act on: printable FILE...
func cmdPrintable(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		text := ts.ReadFile(name)
		if !utf8.ValidString(text) {
			ts.Fatalf("%s is not UTF-8: %q", name, text)
		}
		for _, r := range text {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
				ts.Fatalf("%s holds %q: %q", name, r, text)
			}
		}
	}
}

// cmdSame compares two files without printing them: [!] same FILE FILE.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] same FILE FILE")
	}
	if (ts.ReadFile(unquoted(ts, args[0])) == ts.ReadFile(unquoted(ts, args[1]))) == neg {
		ts.Fatalf("%s and %s: want them the same: %v", args[0], args[1], !neg)
	}
}

// cmdPayload damages a segment's payload in the store: payload damage|remove|cut|empty TENSOR ORDINAL.
// The tensor - stands for the bytes outside tensors.
func cmdPayload(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: payload damage|remove|cut|empty TENSOR ORDINAL")
	}
	path := filepath.Join(filepath.Dir(catalogPath(ts)), "store", objectName(segmentOf(ts, args[1], args[2])))
	content, err := os.ReadFile(path)
	ts.Check(err)
	if args[0] == "remove" {
		ts.Check(os.Remove(path))
		return
	}
	ts.Check(os.WriteFile(path, damaged(args[0], content), 0o600))
}

// cmdSmall damages a payload that the catalogue keeps: small damage|remove|cut TENSOR ORDINAL. small
// count N checks how many it has.
func cmdSmall(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 && (len(args) != 2 || args[0] != "count") {
		ts.Fatalf("usage: small damage|remove|cut TENSOR ORDINAL | small count N")
	}
	db, err := sql.Open("sqlite", catalogPath(ts))
	ts.Check(err)
	defer db.Close()
	if args[0] == "count" {
		var found string
		ts.Check(db.QueryRow(`SELECT count(*) FROM SmallPayloads`).Scan(&found))
		if found != args[1] {
			ts.Fatalf("the catalogue has %s small payloads, want %s", found, args[1])
		}
		return
	}
	segment := segmentOf(ts, args[1], args[2])
	var atom int64
	var content []byte
	ts.Check(db.QueryRow(`SELECT AtomId, s.Payload FROM SmallPayloads AS s JOIN Atoms ON AtomId = PayloadAtomId
		WHERE ContentHash = ?`, segment.Digest[:]).Scan(&atom, &content))
	if args[0] == "remove" {
		_, err = db.Exec(`DELETE FROM SmallPayloads WHERE PayloadAtomId = ?`, atom)
	} else {
		content = damaged(args[0], content)
		_, err = db.Exec(`UPDATE SmallPayloads SET Payload = ? WHERE PayloadAtomId = ?`, content, atom)
	}
	ts.Check(err)
}

// damaged returns content with a wrong bit, or with how "cut" its first half, or with "empty" nothing.
func damaged(how string, content []byte) []byte {
	switch how {
	case "cut":
		return content[:len(content)/2]
	case "empty":
		return nil
	}
	content[len(content)/2] ^= 1
	return content
}

func catalogPath(ts *testscript.TestScript) string {
	return strings.TrimPrefix(ts.Getenv("INGEST_CATALOG"), "sqlite:")
}

// segmentOf returns the first recorded segment of a tensor, or of - for the bytes outside tensors,
// with this ordinal.
func segmentOf(ts *testscript.TestScript, tensor, ordinal string) ingest.StoredSegment {
	tensor = strings.TrimPrefix(tensor, "-")
	catalog, err := sqlite.Open(context.Background(), catalogPath(ts))
	ts.Check(err)
	defer catalog.Close()
	for m, err := range catalog.Models(context.Background()) {
		ts.Check(err)
		for _, f := range m.Files {
			for segment, err := range catalog.Segments(context.Background(), f.ID, 0) {
				ts.Check(err)
				if segment.Tensor == tensor && strconv.Itoa(segment.Ordinal) == ordinal {
					return segment
				}
			}
		}
	}
	ts.Fatalf("no segment %s of tensor %s is recorded", ordinal, tensor)
	return ingest.StoredSegment{}
}

func payloadPath(store string, d ingest.Digest) string {
	text := d.String()
	return filepath.Join(store, "sha256", text[:2], text)
}

// cmdBlock makes a store fail to put some bytes of a file: block STORE FILE OFFSET BYTES. It makes
// a folder in place of the payload, and sets the variable blocked to its path.
func cmdBlock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: block STORE FILE OFFSET BYTES")
	}
	at, err := strconv.Atoi(args[2])
	ts.Check(err)
	n, err := strconv.Atoi(args[3])
	ts.Check(err)
	path := payloadPath(ts.MkAbs(args[0]), ingest.Sum([]byte(ts.ReadFile(args[1])[at:at+n])))
	ts.Check(os.MkdirAll(path, 0o700))
	ts.Setenv("blocked", path)
}

// cmdDamage changes a byte of the last file of a folder, by name: damage FOLDER.
func cmdDamage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damage FOLDER")
	}
	files, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	path := filepath.Join(ts.MkAbs(args[0]), files[len(files)-1].Name())
	content, err := os.ReadFile(path)
	ts.Check(err)
	content[len(content)/2] ^= 1
	ts.Check(os.WriteFile(path, content, 0o600))
}

// cmdGarbage adds what killed runs leave in a store: garbage STORE PAYLOADS. It makes so many
// payloads without a row, and a part of a payload under a temporary name.
func cmdGarbage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: garbage STORE PAYLOADS")
	}
	number, err := strconv.Atoi(args[1])
	ts.Check(err)
	store, err := dir.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	for i := range number {
		payload := fmt.Appendf(nil, "extra %d", i)
		_, err := store.Put(context.Background(), ingest.Key{Digest: ingest.Sum(payload)}, payload)
		ts.Check(err)
	}
	ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), "tmp", "4242-0123456789abcdef"), []byte("par"), 0o600))
}
