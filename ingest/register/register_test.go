package register_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/ingest/register"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/sqlite/sqlitetest"
)

// fixture is an empty catalogue and a folder of files.
type fixture struct {
	*testing.T
	catalog ingest.Catalog
	folder  string
	parse   func(context.Context, ingest.Source) (*ingest.Model, error)
	trust   bool
	read    int64 // bytes, by the last run
}

func newFixture(t *testing.T) *fixture {
	catalog := sqlitetest.Open(t, filepath.Join(t.TempDir(), "catalog.db"))
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{T: t, catalog: catalog, folder: folder, parse: format.Parser{}.Parse}
}

// write writes a file, and returns its path.
func (h *fixture) write(name, content string) string {
	h.Helper()
	path := filepath.Join(h.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		h.Fatal(err)
	}
	return path
}

func (h *fixture) run(ctx context.Context, paths ...string) (*register.Report, error) {
	h.Helper()
	found, err := format.Find(ctx, paths)
	if err != nil {
		h.Fatal(err)
	}
	r := register.Registrar{Catalog: h.catalog, Parse: h.parse, TrustNames: h.trust, Progress: &ingest.Progress{}}
	request := ingest.JobRequest{Pipeline: "register", Source: strings.Join(paths, "\n"), Paths: paths}
	report, err := r.Run(ctx, request, found)
	h.read = r.Progress.BytesRead.Load()
	if err := catalogtest.Check(h.Context(), h.catalog, nil); err != nil {
		h.Error(err)
	}
	return report, err
}

// registers runs and checks the numbers of registered, skipped and refused models.
func (h *fixture) registers(registered, skipped, refused int, paths ...string) *register.Report {
	h.Helper()
	report, err := h.run(h.Context(), paths...)
	if err != nil {
		h.Fatal(err)
	}
	if len(report.Registered) != registered || len(report.Skipped) != skipped || len(report.Refused) != refused {
		h.Fatalf("report is %+v, want %d registered, %d skipped, %d refused", report, registered, skipped, refused)
	}
	return report
}

func (h *fixture) models() (all []ingest.Summary) {
	h.Helper()
	for m, err := range h.catalog.Models(h.Context()) {
		if err != nil {
			h.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func (h *fixture) atom(f ingest.StoredFile) ingest.FileAtom {
	h.Helper()
	a, err := h.catalog.FileAtom(h.Context(), f.Atom)
	if err != nil {
		h.Fatal(err)
	}
	return a
}

func (h *fixture) jobState(id int64) ingest.JobState {
	h.Helper()
	job, err := h.catalog.Job(h.Context(), id)
	if err != nil {
		h.Fatal(err)
	}
	return job.State
}

// TestOnce checks that an unchanged file is not read again.
func TestOnce(t *testing.T) {
	h := newFixture(t)
	path := h.write("a.bin", "content")
	report := h.registers(1, 0, 0, path)
	if h.read != 7 || report.BytesRead != 7 || h.jobState(report.Job) != ingest.JobComplete {
		t.Errorf("%d bytes read; %+v", h.read, report)
	}
	f := h.models()[0].Files[0]
	if f.Digest != ingest.Sum([]byte("content")) || h.atom(f).Locator != path || h.atom(f).Trusted() {
		t.Errorf("%+v, %+v", f, h.atom(f))
	}
	h.registers(0, 1, 0, path)
	if h.read != 0 {
		t.Errorf("%d bytes read again", h.read)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	h.registers(1, 0, 0, path)
	h.registers(0, 1, 0, path)
	if all := h.models(); len(all) != 1 || !all[0].Files[0].Modified.Equal(later) {
		t.Errorf("models are %+v", all)
	}
}

// TestLocatorIsReal checks that links are resolved in the row's path.
func TestLocatorIsReal(t *testing.T) {
	h := newFixture(t)
	path := h.write("real/a.bin", "content")
	link := filepath.Join(h.folder, "link")
	if err := os.Symlink(filepath.Dir(path), link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	h.registers(1, 0, 0, filepath.Join(link, "a.bin"))
	f := h.models()[0].Files[0]
	if f.Path != filepath.Join(link, "a.bin") || h.atom(f).Locator != path {
		t.Errorf("path %s, locator %s", f.Path, h.atom(f).Locator)
	}
	h.registers(0, 1, 0, filepath.Join(link, "a.bin"))
}

// TestOutside checks that a link out of the given folder is not followed.
func TestOutside(t *testing.T) {
	h := newFixture(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.write("models/a.bin", "\x80\x02a pkl")
	if err := os.Symlink(secret, filepath.Join(h.folder, "models", "b.bin")); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	report, err := h.run(t.Context(), filepath.Join(h.folder, "models"))
	if err != nil || len(report.Registered) != 1 || h.read != 7 {
		t.Errorf("%+v, %d bytes read: %v", report, h.read, err)
	}
}

// TestTrustNames checks that only a file whose name claims its digest is not read.
func TestTrustNames(t *testing.T) {
	h := newFixture(t)
	h.trust = true
	digest := ingest.Sum([]byte("content"))
	blob := h.write("blobs/sha256-"+digest.String(), "content")
	plain := h.write(digest.String()+".bin", "other")
	report := h.registers(2, 0, 0, blob, plain)
	if h.read != 5 {
		t.Errorf("%d bytes were read, want those of the file without a digest in its name", h.read)
	}
	for i, m := range h.models() {
		a := h.atom(m.Files[0])
		if trusted := a.Digest == digest; a.Trusted() != trusted || report.Registered[i].Trusted == 1 != trusted {
			t.Errorf("%+v: trusted %v", report.Registered[i], a.Trusted())
		}
	}
	h.registers(0, 2, 0, blob, plain)
	h.trust = false // the trusted file is read now
	h.registers(1, 1, 0, blob, plain)
	if h.read != 7 {
		t.Errorf("%d bytes were read, want those of the blob", h.read)
	}
	h.trust = true
	h.registers(0, 2, 0, blob, plain)
	for _, m := range h.models() {
		if h.atom(m.Files[0]).Trusted() {
			t.Errorf("model %d is trusted, and was read", m.ID)
		}
	}
}

// TestWrongName checks that a file with another digest than its name claims is refused.
func TestWrongName(t *testing.T) {
	h := newFixture(t)
	path := h.write("blobs/sha256-"+ingest.Sum([]byte("content")).String(), "cont3nt")
	report := h.registers(0, 0, 1, path)
	var mismatch *ingest.MismatchError
	if !errors.As(report.Refused[0].Reason, &mismatch) || mismatch.Got != ingest.Sum([]byte("cont3nt")) {
		t.Errorf("reason is %v", report.Refused[0].Reason)
	}
	if len(h.models()) != 0 || h.jobState(report.Job) != ingest.JobFailed {
		t.Errorf("%d models, the job is %s", len(h.models()), h.jobState(report.Job))
	}
}

// TestChanged checks that a file that changes during the run is refused.
func TestChanged(t *testing.T) {
	for name, change := range map[string]func(h *fixture, path string){
		"grown":    func(h *fixture, path string) { h.write("a.bin", "content and more") },
		"cut":      func(h *fixture, path string) { h.write("a.bin", "con") },
		"replaced": func(h *fixture, path string) { os.Rename(h.write("b.bin", "content"), path) },
		"removed":  func(h *fixture, path string) { os.Remove(path) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t)
			path := h.write("a.bin", "content")
			h.parse = func(ctx context.Context, s ingest.Source) (*ingest.Model, error) {
				m, err := format.Parser{}.Parse(ctx, s)
				change(h, path)
				return m, err
			}
			report := h.registers(0, 0, 1, path)
			if len(h.models()) != 0 {
				t.Errorf("%d models; refused: %v", len(h.models()), report.Refused[0].Reason)
			}
			if name != "removed" && !errors.Is(report.Refused[0].Reason, ingest.ErrChanged) {
				t.Errorf("refused: %v", report.Refused[0].Reason)
			}
		})
	}
}

// TestInterrupted checks that registered models stay, and that the same command continues the job.
func TestInterrupted(t *testing.T) {
	h := newFixture(t)
	var paths []string
	for i := range 3 {
		paths = append(paths, h.write(fmt.Sprintf("%d.bin", i), fmt.Sprint("content ", i)))
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	parsed := 0
	h.parse = func(ctx context.Context, s ingest.Source) (*ingest.Model, error) {
		if parsed++; parsed == 2 {
			cancel(ingest.ErrInterrupted)
		}
		return format.Parser{}.Parse(ctx, s)
	}
	report, err := h.run(ctx, paths...)
	if !errors.Is(err, ingest.ErrInterrupted) || len(report.Registered) != 1 || len(report.Refused) != 0 ||
		h.jobState(report.Job) != ingest.JobOpen {
		t.Fatalf("%+v: %v", report, err)
	}
	h.parse = format.Parser{}.Parse
	if again := h.registers(2, 1, 0, paths...); again.Job != report.Job {
		t.Errorf("job %d was continued as %d", report.Job, again.Job)
	}
}

// TestCopies checks that the row has the path of one copy of a file, and of the other when that is
// removed.
func TestCopies(t *testing.T) {
	h := newFixture(t)
	a, b := h.write("a.bin", "content"), h.write("b.bin", "content")
	earlier := time.Now().Add(-time.Hour)
	if err := os.Chtimes(a, earlier, earlier); err != nil {
		t.Fatal(err)
	}
	h.registers(2, 0, 0, a, b)
	h.registers(0, 2, 0, a, b)
	all := h.models()
	if len(all) != 1 || len(all[0].Names) != 2 || h.atom(all[0].Files[0]).Locator != b {
		t.Fatalf("models are %+v at %s", all, h.atom(all[0].Files[0]).Locator)
	}
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	h.registers(1, 0, 0, a)
	if h.read != 0 || h.atom(h.models()[0].Files[0]).Locator != a {
		t.Errorf("%d bytes read, %s", h.read, h.atom(h.models()[0].Files[0]).Locator)
	}
	h.registers(0, 1, 0, a)
	// a file that changes between the lookup and its header is read
	h.registers(1, 0, 0, h.write("b.bin", "content"))
	os.Remove(b)
	h.parse = func(ctx context.Context, s ingest.Source) (*ingest.Model, error) {
		h.write("a.bin", "CONTENT")
		return format.Parser{}.Parse(ctx, s)
	}
	h.registers(1, 0, 0, a)
	if h.read != 7 || !slices.ContainsFunc(h.models(), func(m ingest.Summary) bool {
		return m.Files[0].Digest == ingest.Sum([]byte("CONTENT"))
	}) {
		t.Errorf("%d bytes read; models are %+v", h.read, h.models())
	}
}
