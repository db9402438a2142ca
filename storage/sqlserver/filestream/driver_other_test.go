//go:build !windows

package filestream

import (
	"runtime"
	"strings"
	"testing"
)

func TestFindElsewhere(t *testing.T) {
	if d, err := Find(); d != nil || err == nil || !strings.Contains(err.Error(), "Windows only") ||
		!strings.Contains(err.Error(), runtime.GOOS) {
		t.Errorf("%v, %v", d, err)
	}
}
