package ingest

import (
	"strings"
	"testing"
)

func TestParseDigest(t *testing.T) {
	hexits := Sum(nil).String()
	if hexits != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" { // FIPS 180-4, the empty message
		t.Fatalf("Sum(nil) = %s", hexits)
	}
	for _, good := range []string{"sha256:" + hexits, "sha256-" + hexits} {
		if d, err := ParseDigest(good); err != nil || d != Sum(nil) {
			t.Errorf("ParseDigest(%q) = %v, %v", good, d, err)
		}
	}
	for _, bad := range []string{"", hexits, "sha256:", "sha256_" + hexits, "sha512:" + hexits,
		"sha256:" + strings.ToUpper(hexits), "sha256:" + hexits + "0",
		"sha256:" + hexits[1:], "sha256:../" + hexits[3:], "sha256:" + hexits[:63] + "g", " sha256:" + hexits,
		"sha256:" + hexits + "\n"} {
		if d, err := ParseDigest(bad); err == nil || !d.IsZero() {
			t.Errorf("ParseDigest(%q) = %v, %v", bad, d, err)
		}
	}
}

func TestDigestPrefix(t *testing.T) {
	hexits := Sum(nil).String()
	for text, want := range map[string][2]string{
		"e3b0c4":           {"e3b0c4" + strings.Repeat("0", 58), "e3b0c4" + strings.Repeat("f", 58)},
		"ABCDEF0":          {"abcdef0" + strings.Repeat("0", 57), "abcdef0" + strings.Repeat("f", 57)},
		hexits:             {hexits, hexits},
		"sha256:E3b0c4":    {"e3b0c4" + strings.Repeat("0", 58), "e3b0c4" + strings.Repeat("f", 58)},
		"sha256-" + hexits: {hexits, hexits},
		"sha256:":          {},
		"e3b0c":            {},
		hexits + "0":       {},
		"e3b0cg":           {},
		"":                 {},
	} {
		p, err := ParseDigestPrefix(text)
		if (err == nil) != (want[0] != "") || err == nil && (p.First().String() != want[0] ||
			p.Last().String() != want[1]) {
			t.Errorf("ParseDigestPrefix(%q) = %s, %v", text, p, err)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		`C:\models\"a".gguf`: `C:\models\"a".gguf`,
		"été.gguf":           "été.gguf",
		"a\x1b[2Jb":          `"a\x1b[2Jb"`,
		"a\nb":               `"a\nb"`,
		"a\x00":              `"a\x00"`,
		"\xff":               `"\xff"`,
	} {
		if got := Printable(in); got != want {
			t.Errorf("Printable(%q) = %s, want %s", in, got, want)
		}
	}
}
