package filestream

import (
	"errors"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/storage"
)

func TestError(t *testing.T) {
	for _, test := range []struct {
		code      uint32
		transient bool
		says      string
	}{
		{sharingViolation, true, "open elsewhere"},
		{netNameDeleted, true, "connection to the server broke"},
		{accessDenied, false, "use Windows authentication"},
		{diskFull, false, "make room"},
		{badNetPath, false, "139 and 445"},
		{1234, false, "WriteFile of \\\\S\\x: Win32 error 1234: in words"},
	} {
		err := &Error{"WriteFile", `\\S\x`, test.code, errors.New("in words")}
		if storage.IsTransient(err) != test.transient || err.Busy() != (test.code == sharingViolation) {
			t.Errorf("%v: transient %v, busy %v", err, err.Transient(), err.Busy())
		}
		if !strings.Contains(err.Error(), test.says) || !strings.HasPrefix(err.Error(), `WriteFile of \\S\x: `) {
			t.Errorf("%q does not contain %q", err, test.says)
		}
	}
}
