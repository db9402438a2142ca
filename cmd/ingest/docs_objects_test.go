package main

import (
	"encoding"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// module is the path of the module, and of the folder top.
const module = "github.com/hartonomous/ingest"

// structDocs reads the comments of structs in the sources of packages.
type structDocs map[string]map[string]string // by folder: of a struct by NAME, of its fields by NAME.FIELD

// of returns the comments of a package.
func (s structDocs) of(t testing.TB, path string) map[string]string {
	t.Helper()
	folder := "."
	if rest, ok := strings.CutPrefix(path, module+"/"); ok && !strings.HasPrefix(rest, "cmd/") {
		folder = filepath.Join(top, filepath.FromSlash(rest))
	}
	if s[folder] != nil {
		return s[folder]
	}
	s[folder] = map[string]string{}
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "_test.go") {
			s.read(file, s[folder])
		}
	}
	return s[folder]
}

// read adds the comments of the structs in a file.
func (s structDocs) read(file *ast.File, docs map[string]string) {
	for _, declaration := range file.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range group.Specs {
			named, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			fields, ok := named.Type.(*ast.StructType)
			if !ok {
				continue
			}
			docs[named.Name.Name] = oneLine(group.Doc.Text())
			for _, f := range fields.Fields.List {
				for _, name := range f.Names {
					docs[named.Name.Name+"."+name.Name] = oneLine(f.Doc.Text() + " " + f.Comment.Text())
				}
			}
		}
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// row is a field of an object in a table of the page.
type row struct {
	field, kind, meaning string
	optional             bool
}

// rows returns the fields of an object. Those of objects in it have names like files[].name.
func (s structDocs) rows(t testing.TB, object reflect.Type, prefix string, optional bool) (all []row) {
	t.Helper()
	docs := s.of(t, object.PkgPath())
	for i := range object.NumField() {
		f := object.Field(i)
		if f.Anonymous {
			inner, pointer := f.Type, f.Type.Kind() == reflect.Pointer
			if pointer {
				inner = inner.Elem()
			}
			all = append(all, s.rows(t, inner, prefix, optional || pointer)...)
			continue
		}
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		kind, inner, list := kindOf(f.Type)
		meaning := docs[object.Name()+"."+f.Name]
		if name == "" || meaning == "" {
			t.Errorf("%s.%s has no JSON name or no comment", object.Name(), f.Name)
		}
		all = append(all, row{prefix + name, kind, meaning, optional || option == "omitempty"})
		if inner != nil {
			all = append(all, s.rows(t, inner, prefix+name+list+".", false)...)
		}
	}
	return all
}

var textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()

// kindOf returns the name of a type in JSON, the struct that it has, and "[]" if it is a list.
func kindOf(goType reflect.Type) (kind string, inner reflect.Type, list string) {
	switch {
	case goType.Kind() == reflect.Pointer:
		return kindOf(goType.Elem())
	case goType == reflect.TypeFor[time.Time]():
		return "time", nil, ""
	case goType == reflect.TypeFor[json.RawMessage]():
		return "object", nil, ""
	case goType.Implements(textMarshaler):
		return "string", nil, ""
	}
	switch goType.Kind() {
	case reflect.Slice:
		kind, inner, _ = kindOf(goType.Elem())
		return "list of " + kind + "s", inner, "[]"
	case reflect.Struct:
		return "object", goType, ""
	case reflect.Bool:
		return "boolean", nil, ""
	case reflect.String:
		return "string", nil, ""
	case reflect.Float64:
		return "number", nil, ""
	}
	return "integer", nil, ""
}

// table returns the description of an object for the page.
func (s structDocs) table(t testing.TB, object reflect.Type) string {
	t.Helper()
	doc, known := strings.CutPrefix(s.of(t, object.PkgPath())[object.Name()], object.Name()+" ")
	if !known {
		t.Errorf("%s has no comment", object.Name())
	}
	doc = strings.TrimPrefix(strings.TrimPrefix(doc, "is "), "are ")
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s:\n\n| field | type | meaning |\n| --- | --- | --- |\n", strings.ToUpper(doc[:1]),
		strings.TrimSuffix(doc[1:], "."))
	for _, r := range s.rows(t, object, "", false) {
		if r.optional {
			r.kind += ", optional"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.field, r.kind, r.meaning)
	}
	return b.String()
}
