package azureblob

import (
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// FuzzAddress checks that neither an error nor the printed address contains what follows sig=.
func FuzzAddress(f *testing.F) {
	for _, before := range []string{
		"azblob://account1/c12?", "https://account1.blob.core.windows.net/c12?sv=1&",
		"http://127.0.0.1:1/devstoreaccount1/c12?", "https://", "http://", "azblob://", "", "https://account1.",
		"https://u:", "AccountName=x;", "https://account1.blob.core.windows.net/", "%", "[",
	} {
		f.Add(before, "")
		f.Add(before, "@x/c12")
		f.Add(before, "/account1/c12")
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		p, err := parseAddress(before + "sig=s3cr3t" + after)
		if err != nil {
			if strings.Contains(err.Error(), "s3cr3t") && !strings.Contains(before+after, "s3cr3t") {
				t.Errorf("%v", err)
			}
			return
		}
		if shown := p.url(); strings.ContainsAny(shown, "?@=#%") || strings.Count(shown, "//") != 1 {
			t.Errorf("%q is shown as %q", before+"sig=s3cr3t"+after, shown)
		}
	})
}

// FuzzNames checks that only names that the store gives are parsed, and that escape is reversible.
func FuzzNames(f *testing.F) {
	for _, name := range []string{
		"1/2/3.bin", "1/files/2/3.bin", "01/2/3.bin", "-1/2/3.bin", "1/0/3.bin", "sha256/ab/cd", "~41", "~zz", "a~",
		"", "/", payloadName(ingest.Sum(nil)), payloadName(ingest.Sum(nil)) + "-" + strings.Repeat("0", 64),
		"9223372036854775808/1/1.bin",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if p, ok := parsePosition(name); ok && positionName(p) != name {
			t.Errorf("%q is read as %+v", name, p)
		}
		if p, ok := parseContent(name); ok && p.Name() != name {
			t.Errorf("%q is read as %s", name, p)
		}
		if got := unescape(escape(name)); got != name {
			t.Errorf("%q became %q", name, got)
		}
	})
}
