package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// child is the environment variable that makes the test binary a process that records.
const child = "INGEST_TEST_RECORD_INTO"

func TestMain(m *testing.M) {
	if path := os.Getenv(child); path != "" {
		if err := recordAndPrint(path, os.Getenv(child+"_AS")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const childBatches, childRows = 40, 50

// recordAndPrint records a file in small batches and prints the end of each recorded batch.
func recordAndPrint(path, name string) error {
	ctx := context.Background()
	c, err := Open(ctx, path)
	if err != nil {
		return err
	}
	lease, err := c.Open(ctx, ingest.JobRequest{Pipeline: "models", Source: name,
		Holder: ingest.Holder{Host: name, Process: os.Getpid()},
		TTL:    time.Hour, HolderDead: func(h ingest.Holder) bool { return h.Host == name }})
	if err != nil {
		return err
	}
	f := flat(name, childBatches*childRows)
	e, err := f.begin(ctx, c, lease)
	if err != nil {
		return err
	}
	for b := range f.batches(e, childRows) {
		if b.To <= e.Files[0].Recorded {
			continue
		}
		if err := c.Record(ctx, lease, b); err != nil {
			return err
		}
		fmt.Println(b.To)
	}
	if _, err := c.Complete(ctx, lease, e.ID, 0); err != nil {
		return err
	}
	return c.Close()
}

func command(t *testing.T, path, name string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), child+"="+path, child+"_AS="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestTwoProcessesAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalogue.db")
	a, b := command(t, path, "a"), command(t, path, "b")
	for _, cmd := range []*exec.Cmd{a, b} { // either may create the database
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, cmd := range []*exec.Cmd{a, b} {
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	c := openAt(t, path)
	models := 0
	for s, err := range c.Models(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if models++; s.State != ingest.ModelComplete || s.Segments != childBatches*childRows {
			t.Errorf("model is %+v", s)
		}
	}
	if models != 2 {
		t.Errorf("%d models", models)
	}
	if err := c.Audit(t.Context()); err != nil {
		t.Error(err)
	}
}

// What a process reported as recorded is there after it was killed.
func TestKilledProcessLosesNothingReported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalogue.db")
	reported := int64(0)
	for _, lines := range []int{1, 3, 7} {
		cmd := command(t, path, "a")
		output, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		scanner := bufio.NewScanner(output)
		for range lines {
			if !scanner.Scan() {
				t.Fatalf("the process ended early: %v", scanner.Err())
			}
			if _, err := fmt.Sscan(scanner.Text(), &reported); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // reports that the process was killed
		c := openAt(t, path)
		models := 0
		for s, err := range c.Models(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			models++
			if s.Files[0].Recorded < reported {
				t.Errorf("%d bytes are recorded, %d were reported", s.Files[0].Recorded, reported)
			}
		}
		if models != 1 {
			t.Errorf("%d models, want 1", models)
		}
		if err := c.Audit(t.Context()); err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
