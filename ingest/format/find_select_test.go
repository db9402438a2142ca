package format

import (
	"strings"
	"testing"
)

// TestSelection: the patterns of rclone that Selection documents.
func TestSelection(t *testing.T) {
	for _, c := range []struct {
		pattern    string
		matches    string
		matchesNot string
		leavesOut  string // folders
		searched   string // folders
	}{
		{"*.gguf", "a.gguf d/a.gguf d/e/.gguf", "a.GGUF a.gguf.txt a.gguf/b", "", "d a.gguf"},
		{"/*.gguf", "a.gguf", "d/a.gguf", "", "d"},
		{"d/*", "d/a e/d/a", "d/e/a ad/a", "", "d"},
		{"/d/**", "d/a d/e/a", "e/d/a ad/a", "d d/e", "e e/d"},
		{"d/", "d/a d/e/a e/d/a", "ad/a", "d e/d", "e"},
		{"**/old/**", "old/a d/old/a", "old", "old d/old", "d"},
		{"{a,b}.bin", "a.bin d/b.bin", "c.bin ab.bin", "", ""},
		{"?[x-z].bin", "ax.bin 漢z.bin", "x.bin aa.bin", "", ""},
		{`\*.bin`, "*.bin", "a.bin", "", ""},
		{"**", "a d/a", "", "d", ""},
	} {
		s := Selection{Exclude: []string{c.pattern}}
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		for path := range strings.FieldsSeq(c.matches) {
			if !s.leavesOut(path, true) || (Selection{Include: []string{c.pattern}}).leavesOut(path, false) {
				t.Errorf("%s does not match %s", c.pattern, path)
			}
		}
		for path := range strings.FieldsSeq(c.matchesNot) {
			if s.leavesOut(path, false) || !(Selection{Include: []string{c.pattern}}).leavesOut(path, false) {
				t.Errorf("%s matches %s", c.pattern, path)
			}
		}
		for path := range strings.FieldsSeq(c.leavesOut) {
			if !s.leavesOutFolder(path) {
				t.Errorf("%s does not leave the folder %s out", c.pattern, path)
			}
		}
		for path := range strings.FieldsSeq(c.searched) {
			if s.leavesOutFolder(path) {
				t.Errorf("%s leaves the folder %s out", c.pattern, path)
			}
		}
	}
	for _, wrong := range []string{"", "/", "[a", "{a", "a**", "d/**.gguf", "{{a}}", `a\`} {
		if (Selection{Include: []string{wrong}}).Check() == nil {
			t.Errorf("%q is accepted", wrong)
		}
	}
}
