package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/durable"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

func openAt(t *testing.T, path string) *Catalog {
	t.Helper()
	c, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// refuses checks that Open fails with an error that contains path and what.
func refuses(t *testing.T, path, what string) {
	t.Helper()
	c, err := Open(t.Context(), path)
	if err == nil {
		_ = c.Close()
		t.Fatal("Open succeeded")
	}
	if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), what) {
		t.Fatalf("error is %q, want %s and %q", err, path, what)
	}
}

func TestOpenMakesWhatIsMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one", "two", "catalogue.db")
	c := openAt(t, path)
	if _, err := c.Open(t.Context(), ingest.JobRequest{Pipeline: "models", Source: "x", TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("Windows keeps no permission bits")
	}
	for name, want := range map[string]os.FileMode{path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600,
		filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has permissions %o, want %o", name, got, want)
		}
	}
}

// Each process that finds a new catalogue empty syncs its folder before it writes.
func TestNewCatalogueIsDurable(t *testing.T) {
	defer func() { syncFolder = durable.SyncFolder }()
	var synced []string
	fault := errors.New("fault")
	syncFolder = func(folder string) error { synced = append(synced, folder); return fault }
	folder := filepath.Join(t.TempDir(), "new")
	path := filepath.Join(folder, "catalogue.db")
	for range 2 {
		if _, err := Open(t.Context(), path); !errors.Is(err, fault) {
			t.Fatalf("the folder cannot be synced, but Open returned %v", err)
		}
	}
	if !slices.Equal(synced, []string{folder, folder}) {
		t.Errorf("synced %q", synced)
	}
	syncFolder = durable.SyncFolder
	c, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenAnyPath(t *testing.T) {
	names := []string{"a b", "a#b", "50%", "%20", "a&b=c;d", "a'b", "größe", "a+b@c:d", "_pragma=query_only(1)"}
	if runtime.GOOS != "windows" {
		names = append(names, "a?b", "?_pragma=query_only(1)", `a\b`, "a\"b", "\xff\xfe", "a\nb", "//x")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, name+".db")
			c := openAt(t, path)
			first, err := c.Identity(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil || info.Size() == 0 {
				t.Fatalf("the database is not at %q: %v", path, err)
			}
			again, err := openAt(t, path).Identity(t.Context())
			if err != nil || again != first {
				t.Fatalf("identity is %s, was %s: %v", again, first, err)
			}
		})
	}
}

func TestOpenRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	c := openAt(t, "catalogue.db")
	t.Chdir(t.TempDir())
	if _, err := c.Identity(t.Context()); err != nil { // opens a connection only now
		t.Fatal(err)
	}
	if _, err := os.Stat("catalogue.db"); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("Open created a second database in the new working directory: %v", err)
	}
}

func TestDSN(t *testing.T) {
	for path, want := range map[string]string{
		"D:/models & more/50% #1.db": "file:///D:/models%20&%20more/50%25%20%231.db?",
		"/a?b/ü.db":                  "file:///a%3Fb/%C3%BC.db?",
		"//server/share/a.db":        "file:////server/share/a.db?",
	} {
		if got := dsn(path, []string{"query_only(1)"}); !strings.HasPrefix(got, want) {
			t.Errorf("%s becomes %s, want %s", path, got, want)
		}
	}
}

func TestOpenRefusesANewerDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalogue.db")
	c := openAt(t, path)
	_, err := c.conns.writer.Exec(`INSERT INTO SchemaSteps (Number, Name) VALUES (9000, 'from the future')`)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	refuses(t, path, "schema step 9000")
}

func TestOpenRefusesAnotherProgramsDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db := pool(path, nil, 1)
	if _, err := db.Exec(`CREATE TABLE theirs (x)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	refuses(t, path, "another program")
}

func TestOpenRefusesOtherFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "text.db")
	text := strings.Repeat("not a database\n", 2000)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, path, "not a catalogue")
	if got, err := os.ReadFile(path); err != nil || string(got) != text {
		t.Fatalf("the file was changed: %v", err)
	}
	refuses(t, t.TempDir(), "not a regular file")
	refuses(t, filepath.Join(path, "below.db"), "not a directory")
}

func TestDamageIsReported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalogue.db")
	if err := openAt(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(content); i++ { // all but the first page
		content[i] = 0x5a
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, path, "damaged")
}

func TestFullDiskIsReported(t *testing.T) {
	c := openAt(t, filepath.Join(t.TempDir(), "catalogue.db"))
	limit := func(pages string) {
		t.Helper()
		if _, err := c.conns.writer.Exec(`PRAGMA max_page_count = ` + pages); err != nil {
			t.Fatal(err)
		}
	}
	limit("1") // as many as there are
	request := ingest.JobRequest{Pipeline: "models", Source: strings.Repeat("x", 100_000), TTL: time.Hour}
	_, err := c.Open(t.Context(), request)
	if err == nil || !strings.Contains(err.Error(), "disk is full") || !strings.Contains(err.Error(), c.conns.path) {
		t.Fatalf("error is %v", err)
	}
	limit("100000")
	if _, err := c.Open(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if err := c.Audit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestReadOnlyFileIsReported(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("needs a user whom permission bits bind: not root, and not on Windows")
	}
	path := filepath.Join(t.TempDir(), "catalogue.db")
	if err := openAt(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), path)
	if err == nil {
		_, err = c.Open(t.Context(), ingest.JobRequest{Pipeline: "models", Source: "x", TTL: time.Hour})
		_ = c.Close()
	}
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "read-only") {
		t.Fatalf("error is %v", err)
	}
}

// A read-only catalogue can be listed if SQLite can create the readers' shared file in its folder;
// otherwise Open returns an error.
func TestReadOnlyCatalogueIsListed(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("needs a user whom permission bits bind: not root, and not on Windows")
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "catalogue.db")
	if err := openAt(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	for range openAt(t, path).Models(t.Context()) {
		t.Error("an empty catalogue has a model")
	}
}

// A reader does not wait for another process's transaction.
func TestOpenDoesNotWaitForAWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalogue.db")
	err := openAt(t, path).conns.Write(t.Context(), false, func(*sqlcatalog.Tx) error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c, err := Open(ctx, path)
		if err != nil {
			return err
		}
		for _, err := range c.Models(ctx) {
			t.Error(err)
		}
		return c.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, filepath.Join(t.TempDir(), "catalogue.db")); !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
}

// Waiting for another process's transaction ends when the context does.
func TestCancelWhileWaitingForWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalogue.db")
	a, b := openAt(t, path), openAt(t, path)
	err := a.conns.Write(t.Context(), false, func(*sqlcatalog.Tx) error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := b.Open(ctx, ingest.JobRequest{Pipeline: "models", Source: "x", TTL: time.Hour})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(t.Context(), ingest.JobRequest{Pipeline: "models", Source: "x", TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
}

// Pages come out of the indexes without a sort, which would cover all segments of a file for each
// page. No table is scanned if there is a key.
func TestPagesAreNotSorted(t *testing.T) {
	c := openAt(t, filepath.Join(t.TempDir(), "catalogue.db"))
	texts := sqlcatalog.Statements()
	for _, name := range []string{"tensor-segments", "file-segments", "last-tensor-segment", "last-file-segment",
		"layers", "models", "files", "names", "models-named", "models-with-digest", "file-with-digest", "unchanged",
		"find-name", "referenced", "remove-tensors", "remove-files", "remove-layers", "remove-model"} {
		plan := c.plan(t, Statement(name, texts[name], Word))
		sorted := strings.Contains(plan, "TEMP B-TREE") && name != "models-named" && name != "models-with-digest" &&
			name != "referenced" && name != "names"
		if sorted || strings.Contains(plan, "SCAN") && !strings.Contains(plan, "SCAN (subquery") &&
			!strings.Contains(plan, "SCAN CONSTANT ROW") {
			t.Errorf("the plan of %s is\n%s", name, plan)
		}
	}
}

// plan returns SQLite's query plan for a statement.
func (c *Catalog) plan(t *testing.T, text string) (plan string) {
	t.Helper()
	args := make([]any, 1000)
	for i := range args {
		args[i] = sql.Named(fmt.Sprint("p", i+1), 1)
	}
	rows, err := c.conns.reader.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+text, args...)
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan += detail + "\n"
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}

// A commit fails if the file was removed, renamed or replaced.
func TestFileReplacedWhileOpen(t *testing.T) {
	for name, take := range map[string]func(path string) error{
		"removed": os.Remove,
		"renamed": func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "catalog.db")
			c, err := Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			request := ingest.JobRequest{Pipeline: "models", Source: "/m", TTL: time.Minute}
			lease, err := c.Open(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			if err := take(path); err != nil {
				t.Fatal(err)
			}
			if err := c.CloseJob(t.Context(), lease, ingest.Outcome{State: ingest.JobComplete}); err == nil ||
				!strings.Contains(err.Error(), "while it was in use") {
				t.Errorf("the job was closed: %v", err)
			}
			if err := c.Renew(t.Context(), lease); err == nil {
				t.Error("the lease was renewed")
			}
		})
	}
}

// New catalogues get the page size, and existing ones keep theirs.
func TestPageSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalogue.db")
	if size := openAt(t, path).row(t, `PRAGMA page_size`); size != "8192" {
		t.Errorf("a new catalogue has pages of %s bytes", size)
	}
	old := filepath.Join(t.TempDir(), "old.db")
	db := pool(old, []string{"page_size(4096)"}, 1)
	for _, text := range []string{`PRAGMA journal_mode = WAL`, createSteps} {
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if size := openAt(t, old).row(t, `PRAGMA page_size`); size != "4096" {
		t.Errorf("an existing catalogue has pages of %s bytes", size)
	}
}
