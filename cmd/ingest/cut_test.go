package main

import (
	"strings"
	"testing"

	"github.com/rivo/uniseg"
)

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"", 3, ""},
		{"abc", 3, "abc"},
		{"abcd", 3, "a…d"},
		{"abcd", 2, "a…"},
		{"abcd", 1, "…"},
		{"llama-2-7b.Q4_0.gguf", 11, "llama….gguf"},
		{"漢字漢字", 8, "漢字漢字"},
		{"漢字漢字", 7, "漢…字"},
		{"漢字漢字", 6, "漢…字"},
		{"é漢é漢é", 5, "é…é"},
		{"e\u0301e\u0301e\u0301e\u0301", 4, "e\u0301e\u0301e\u0301e\u0301"},
		{"e\u0301e\u0301e\u0301e\u0301", 3, "e\u0301…e\u0301"},
		{"👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧", 5, "👩‍👩‍👧…👩‍👩‍👧"},
	} {
		if got := cutMiddle(c.text, c.columns); got != c.want {
			t.Errorf("cutMiddle(%q, %d) = %q, want %q", c.text, c.columns, got, c.want)
		}
	}
	for columns := 1; columns < 40; columns++ {
		text := strings.Repeat("a漢e\u0301", 30)
		if got := cutMiddle(text, columns); uniseg.StringWidth(got) > columns || uniseg.StringWidth(got) < columns-2 {
			t.Errorf("%d columns: %q has %d", columns, got, uniseg.StringWidth(got))
		}
	}
}
