package main

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// printed are the objects that each command prints with --json, in the order of the page.
var printed = map[string][]any{
	"models":   {takenObject{}, noteObject{}, runSummary{}, plannedObject{}, containersObject{}, dryRunSummary{}},
	"register": {registeredObject{}, noteObject{}, registerSummary{}},
	"resume":   {takenObject{}, noteObject{}, resumedObject{}, resumeSummary{}},
	"status":   {jobObject{}, statusSummary{}},
	"list":     {modelObject{}, listSummary{}},
	"show": {shownModel{}, placeObject{}, typeObject{}, storedTensor{}, segmentObject{},
		showSummary{}},
	"inspect":          {inspectedFile{}, tensorObject{}, inspectSummary{}},
	"export":           {exportedObject{}, leftOutObject{}, namedObject{}, exportSummary{}},
	"verify":           {damageObject{}, damagedFile{}, notVerifiedModel{}, notVerifiedFile{}, verifySummary{}},
	"migrate segments": {refusedRow{}, notFreedObject{}, segmentsSummary{}},
	"migrate locators": {locatorObject{}, locatorsSummary{}},
	"recompress":       {refusedRow{}, recompressSummary{}},
	"rename":           {renamedObject{}, renameSummary{}},
	"rm":               {removalObject{}, removedName{}, rmSummary{}},
	"gc":               {garbageObject{}, refusedGarbage{}, refusedModel{}, unfinishedObject{}, gcSummary{}},
	"backup":           {copiedObject{}, backupSummary{}},
	"rebuild":          {rebuiltObject{}, notRebuilt{}, rebuildSummary{}},
	"schema": {serverObject{}, appliedStep{}, appliedPart{}, currentObject{}, leftTable{}, applySummary{},
		behindObject{}, tableObject{}, partObject{}, containersObject{}, prerequisiteObject{}, checkSummary{},
		printedStep{}, printedPart{}, sqlSummary{}},
	"version": {buildObject{}, summaryHead{}},
}

// The marks around the objects in a section of the page.
const (
	objectsBegin = "<!-- JSON objects: written by go test ./cmd/ingest -run TestPages -update -->\n"
	objectsEnd   = "<!-- end of JSON objects -->\n"
)

// documented returns a page with the current objects between its marks, and what was wrong.
func documented(t testing.TB, page string) (text string, wrong []string) {
	t.Helper()
	docs, sections := structDocs{}, strings.Split(page, "\n## ")
	for i, section := range sections {
		before, rest, marked := strings.Cut(section, objectsBegin)
		shown, after, ended := strings.Cut(rest, objectsEnd)
		if !marked {
			continue
		}
		command := commandOf(section)
		if !ended || printed[command] == nil {
			t.Fatalf("the section of %q has objects without an end, or prints none", command)
		}
		var tables []string
		for _, object := range printed[command] {
			tables = append(tables, docs.table(t, reflect.TypeOf(object)))
		}
		if current := "\n" + strings.Join(tables, "\n") + "\n"; current != shown {
			sections[i] = before + objectsBegin + current + objectsEnd + after
			wrong = append(wrong, fmt.Sprintf("the JSON objects of %s are\n%s\nand the page shows\n%s", command,
				current, shown))
		}
	}
	return strings.Join(sections, "\n## "), wrong
}

// commandOf returns the command of a section: migrate segments of "ingest migrate segments --to ADDRESS".
func commandOf(section string) string {
	heading, _, _ := strings.Cut(section, "\n")
	var words []string
	for _, word := range strings.Fields(heading)[1:] {
		if strings.ToLower(word) != word || strings.ContainsAny(word, "[-") {
			break
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// TestObjectsArePrinted: the list of printed objects has each struct of the sources that is one, and each
// command of the list has its section.
func TestObjectsArePrinted(t *testing.T) {
	listed := map[string]bool{}
	page := readPage(t, "README.md")
	for command, objects := range printed {
		_, section, _ := strings.Cut(page, "\n## ingest "+command)
		section, _, _ = strings.Cut(section, "\n## ")
		if !strings.Contains(section, objectsBegin) {
			t.Errorf("the section of %s in README.md has no mark %s", command, objectsBegin)
		}
		for _, object := range objects {
			listed[reflect.TypeOf(object).Name()] = true
		}
	}
	docs := structDocs{}.of(t, module+"/cmd/ingest")
	for name := range docs {
		structure, field, _ := strings.Cut(name, ".")
		isObject := field == "Event" || field == "Object" || strings.HasSuffix(structure, "Summary")
		if isObject && structure != "summaryHead" && structure != "tensorObject" && !listed[structure] {
			t.Errorf("no command prints %s: add it to the list", structure)
		}
	}
	if !listed["takenObject"] || docs["takenObject.Event"] == "" {
		t.Fatal("takenObject is not found: the test is out of date")
	}
}

// TestPrintedObjects: commands print only objects of the list, with all fields, and end with their summary.
func TestPrintedObjects(t *testing.T) {
	b := newBox(t, t.TempDir(), false)
	models := filepath.Join(top, "scripts", "sample", "models")
	folder := t.TempDir()
	files := "dir:" + filepath.Join(folder, "files")
	for _, test := range []struct {
		command string
		args    []string
	}{
		{"register", []string{"register", models}},
		{"show", []string{"show", "tiny"}},
		{"migrate locators", []string{"migrate", "locators", "--to", files}},
		{"migrate locators", []string{"migrate", "locators", "--back"}},
		{"models", []string{"models", models, "--dry-run"}},
		{"models", []string{"models", models}},
		{"resume", []string{"resume"}},
		{"status", []string{"status"}},
		{"list", []string{"list"}},
		{"list", []string{"list", "--sort", "name", "--filter", "chat"}},
		{"show", []string{"show", "tiny", "--segments"}},
		{"inspect", []string{"inspect", filepath.Join(models, "tiny.gguf")}},
		{"export", []string{"export", "tiny", "-o", filepath.Join(folder, "tiny.gguf")}},
		{"export", []string{"export", "--as", "ollama", "tiny", "-o", filepath.Join(folder, "ollama")}},
		{"recompress", []string{"recompress", "--compress", "off"}},
		{"verify", []string{"verify"}},
		{"migrate segments", []string{"migrate", "segments", "--to", inRows}},
		{"migrate segments", []string{"migrate", "segments", "--to", inRows, "--clear-source"}},
		{"migrate segments", []string{"migrate", "segments", "--to", b.storeAddress(), "--clear-source"}},
		{"rename", []string{"rename", "tiny", "small"}},
		{"rm", []string{"rm", "small", "--dry-run"}},
		{"rm", []string{"rm", "small", "--yes"}},
		{"gc", []string{"gc", "--yes"}},
		{"backup", []string{"backup", filepath.Join(folder, "copy.db")}},
		{"schema", []string{"schema", "print", "--catalog", "sqlite:none.db", "--with", "role"}},
		{"version", []string{"version"}},
	} {
		lines := b.must(test.args...).lines
		for i, line := range lines {
			checkObject(t, test.command, line)
			if last := i == len(lines)-1; (line["event"] == "summary") != last {
				t.Errorf("%s: object %d of %d is %v, want one summary, in the end", test.command, i+1, len(lines),
					line)
			}
		}
		if len(lines) == 0 || number(lines[len(lines)-1], "version") != jsonVersion {
			t.Errorf("%s: %v, want a summary of version %d", test.command, lines, jsonVersion)
		}
	}
}

// checkObject checks that an object has the fields of one that a command prints.
func checkObject(t *testing.T, command string, line map[string]any) {
	t.Helper()
	docs := structDocs{}
	if !slices.ContainsFunc(printed[command], func(object any) bool {
		known := 0
		for _, r := range docs.rows(t, reflect.TypeOf(object), "", false) {
			value, has := line[r.field]
			name, isText := value.(string)
			switch {
			case strings.Contains(r.field, "."): // of an object in it
			case !has && !r.optional, isText && (r.field == "event" || r.field == "object") &&
				!strings.Contains(r.meaning, "`"+name+"`"):
				return false
			case has:
				known++
			}
		}
		return known == len(line)
	}) {
		t.Errorf("%s prints an object that is not documented: %v", command, line)
	}
}
