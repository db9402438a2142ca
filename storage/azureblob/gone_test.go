package azureblob

import (
	"net/http"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/hartonomous/ingest/ingest"
)

// A container that is deleted after the store was claimed is not created again: payloads that rows
// refer to are lost.
func TestContainerGone(t *testing.T) {
	s := fresh(t, Settings{BlockBytes: 1000})
	if _, err := s.Owner(t.Context(), "ours"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.container.Delete(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	p := randomBytes(3000, 21)
	for name, do := range map[string]func() error{
		"Put":     func() error { _, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p)}, p); return err },
		"Replace": func() error { _, err := s.Replace(t.Context(), ingest.Sum(p), ingest.Address{}, p); return err },
		"stage":   func() error { return s.stage(t.Context(), "x", blockID(ingest.Sum(p), 1000, 0, 1), 1, p[:1]) },
		"claim":   func() error { _, err := s.Owner(t.Context(), "ours"); return err },
		"Owner":   func() error { _, err := s.Owner(t.Context(), ""); return err },
	} {
		if err := do(); !refused(err, bloberror.ContainerNotFound, bloberror.ContainerBeingDeleted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRetryAfterMaximum(t *testing.T) {
	for header, want := range map[[2]string]time.Duration{
		{"Retry-After", "7"}:                     7 * time.Second,
		{"retry-after-ms", "1500"}:               1500 * time.Millisecond,
		{"Retry-After", "-1"}:                    0,
		{"Retry-After", "soon"}:                  0,
		{"Retry-After", "9223372036"}:            24 * time.Hour,
		{"x-ms-retry-after-ms", "9223372036854"}: 24 * time.Hour,
		{"Retry-After", time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Format(http.TimeFormat)}: 24 * time.Hour,
		{"Retry-After", time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC).Format(http.TimeFormat)}: 0,
	} {
		if got := retryAfter(http.Header{http.CanonicalHeaderKey(header[0]): {header[1]}}); got != want {
			t.Errorf("%s: %s is %s, want %s", header[0], header[1], got, want)
		}
	}
}
