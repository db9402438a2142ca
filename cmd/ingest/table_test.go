package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestFit: names are cut down to minFlex columns before other columns are omitted.
func TestFit(t *testing.T) {
	all := []column{{heading: "id"}, {heading: "name", flex: true}, {heading: "file", flex: true, drop: 2},
		{heading: "size", drop: 1}}
	widest := []int{2, 30, 40, 8}
	for width, want := range map[int]string{
		0:   "[0 1 2 3] [2 30 40 8]",
		86:  "[0 1 2 3] [2 30 40 8]",
		85:  "[0 1 2 3] [2 30 39 8]",
		60:  "[0 1 2 3] [2 22 22 8]",
		48:  "[0 1 2 3] [2 16 16 8]",
		47:  "[0 1 2] [2 20 21 8]",
		38:  "[0 1 2] [2 16 16 8]",
		37:  "[0 1] [2 30 40 8]",
		30:  "[0 1] [2 26 40 8]",
		10:  "[0 1] [2 16 40 8]",
		500: "[0 1 2 3] [2 30 40 8]",
	} {
		shown, widths := fit(all, widest, width)
		if got := fmt.Sprint(shown, " ", widths); strings.ReplaceAll(got, "  ", " ") != want {
			t.Errorf("%d columns: %s, want %s", width, got, want)
		}
	}
}

// TestTable: columns are as wide as their cells on a terminal, except the last cell of a row.
func TestTable(t *testing.T) {
	var out strings.Builder
	p := &program{stdout: &out}
	p.table([][]any{{"A", "BB", "C"}, {1, "漢字", "x"}, {"\x1b", "", ""}, {"a long last cell"}, {"", "another one"}})
	const want = "A       BB    C\n1       漢字  x\n\"\\x1b\"        \na long last cell\n" +
		"        another one\n"
	if got := out.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestListTable: a long list has a second heading when the column STATE is added.
func TestListTable(t *testing.T) {
	var out strings.Builder
	table := newListTable(&program{stdout: &out}, false)
	for i := range 3001 {
		m := listed{Summary: ingest.Summary{ID: ingest.ModelID(i + 1), Name: "n", State: ingest.ModelComplete}}
		if i == 1999 {
			m.State = ingest.ModelOpen
		}
		row, err := table.row(t.Context(), nil, m)
		if err != nil {
			t.Fatal(err)
		}
		table.add(row)
	}
	table.flush()
	var headings []string
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "ID") {
			headings = append(headings, strings.Join(strings.Fields(line), " "))
		}
	}
	const first = "ID NAME FILE QUANT SIZE PARAMS"
	if n := strings.Count(out.String(), "\n"); n != 3003 || !slices.Equal(headings, []string{first, first + " STATE"}) {
		t.Errorf("%d lines, headings %q", n, headings)
	}
}

func TestHumanCount(t *testing.T) {
	for n, want := range map[int64]string{0: "", 7: "7", 999: "999", 1000: "1.0K", 196_864: "196.9K", 999_949: "999.9K",
		999_950: "1.0M", 7_241_732_096: "7.2B", 1_026_408_232_448: "1.0T", 1<<63 - 1: "9223372.0T"} {
		if got := humanCount(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
