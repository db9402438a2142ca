//go:build unix

package main

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestKillLocators kills migrations of locators at random moments, beside a second process that
// migrates and a writer that changes rows. INGEST_TEST_KILLS says how many, for each place that
// files go to.
func TestKillLocators(t *testing.T) {
	if rerunWithoutRace(t) {
		return
	}
	kills := 14
	if testing.Short() {
		kills = 4
	}
	if text := os.Getenv("INGEST_TEST_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, to := range []string{"dir", inRows, os.Getenv("INGEST_TEST_AZURITE")} {
		if to == "" {
			continue // said aloud by others
		}
		t.Run(filepath.Base(to), func(t *testing.T) {
			r := newRegistry(t, to)
			r.fill(8, 1<<20)
			k := &locatorKiller{registry: r, random: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))}
			k.run(kills)
		})
	}
}

type locatorKiller struct {
	*registry
	random *rand.Rand
	kills  int
	amid   int // of those, how many came when rows had changed and others had not
	added  int
}

// run kills until there were enough. A migration that is done begins again with rows that have no
// copy.
func (k *locatorKiller) run(enough int) {
	var second *exec.Cmd
	secondEnded := make(chan struct{})
	close(secondEnded)
	for k.kills < enough {
		select {
		case <-secondEnded: // it is kept going, beside those that are killed
			second = k.command(k.migrate("--clear-locators")...)
			if err := second.Start(); err != nil {
				k.Fatal(err)
			}
			k.Cleanup(func() { second.Process.Kill() })
			secondEnded = make(chan struct{})
			go func(c *exec.Cmd, ended chan struct{}) {
				c.Wait() // the code says how it ended
				close(ended)
			}(second, secondEnded)
		default:
		}
		killed := k.kill()
		if k.store != nil && k.kills%4 == 3 { // between them, and beside the second: then it is refused
			k.registry.run("gc", "--yes", "--store", k.to, "--older-than", "0s")
		}
		all := k.check()
		done := 0
		for _, s := range all {
			if s.stored {
				done++
			}
		}
		k.lost()
		if k.Failed() {
			k.FailNow()
		}
		if killed && done > 0 && done < len(k.good) {
			k.amid++
		}
		if done == len(k.good) {
			k.begin()
		}
	}
	<-secondEnded
	if e := k.registry.run(k.migrate("--clear-locators")...); e.code != exitSomeRefused {
		k.Errorf("the last run: exit code %d\n%s", e.code, e.stderr)
	}
	k.final(true)
	if k.store == nil {
		k.must("verify")
	}
	k.Logf("%d kills, %d of them amid the work", k.kills, k.amid)
}

// kill starts a migration and a writer beside it, and kills the migration after a while. It reports
// false if the migration was faster.
func (k *locatorKiller) kill() (killed bool) {
	k.Helper()
	c := k.command(k.migrate("--clear-locators")...)
	if err := c.Start(); err != nil {
		k.Fatal(err)
	}
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { k.write(stop) })
	time.Sleep(15*time.Millisecond + time.Duration(k.random.Int64N(int64(700*time.Millisecond))))
	c.Process.Kill()
	c.Wait() // it may have ended
	close(stop)
	writer.Wait()
	if killed = !c.ProcessState.Exited(); killed {
		k.kills++
	}
	return killed
}

// write changes rows as another program does: paths of the same content, metadata, and new rows.
func (k *locatorKiller) write(stop chan struct{}) {
	db, err := sql.Open("sqlite", "file:"+k.catalog+"?_pragma=busy_timeout(60000)")
	if err != nil {
		k.Error(err)
		return
	}
	defer db.Close()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(5+i%7) * time.Millisecond):
		}
		statement := `UPDATE Atoms SET UpdatedAt = 'x' WHERE AtomId % 7 = ?`
		if i%3 == 0 { // the same file by another path
			statement = `UPDATE Atoms SET PayloadLocator = replace(PayloadLocator, '/models/', '/models/./') WHERE AtomId % 7 = ?
				AND Metadata LIKE '%ollama%' AND length(PayloadLocator) < 500`
		}
		if _, err := db.Exec(statement, i%7); err != nil {
			k.Error(err)
			return
		}
	}
}

// begin takes the copies away from the rows, as if nothing had been migrated, and adds rows.
func (k *locatorKiller) begin() {
	k.Helper()
	paths := map[string]string{}
	entries, err := filepath.Glob(filepath.Join(k.folder, "*"))
	if err != nil {
		k.Fatal(err)
	}
	blobs, _ := filepath.Glob(filepath.Join(k.folder, "blobs", "*"))
	for _, path := range append(entries, blobs...) {
		if digest, _, err := digestOf(path); err == nil && k.good[digest] {
			paths[digest.String()] = path
		}
	}
	for digest, path := range paths {
		k.exec(`UPDATE Atoms SET Payload = NULL, BlobUri = NULL, BlobName = NULL, BlobSizeBytes = NULL, PayloadLocator = ?
			WHERE hex(ContentHash) = upper(?)`, path, digest)
	}
	k.added++
	name, d := k.file(fmt.Sprint("added", k.added), 1<<20)
	k.good[d] = true
	path := filepath.Join(k.folder, name)
	k.row(lie(path), "model", path, nil)
}
