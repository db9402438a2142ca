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

// TestKillLocators kills migrations of locators at random moments, while a second process migrates
// and another one changes rows. INGEST_TEST_KILLS is the number of kills for each target.
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
			continue // other tests report that Azurite is missing
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
	during int // kills after some of the rows had changed
	added  int
}

// run kills until there are enough kills. When all rows are migrated, it removes their copies.
func (k *locatorKiller) run(enough int) {
	var second *exec.Cmd
	secondEnded := make(chan struct{})
	close(secondEnded)
	for k.kills < enough {
		select {
		case <-secondEnded: // start the second process again
			second = k.command(k.migrate("--clear-locators")...)
			if err := second.Start(); err != nil {
				k.Fatal(err)
			}
			k.Cleanup(func() { second.Process.Kill() })
			secondEnded = make(chan struct{})
			go func(c *exec.Cmd, ended chan struct{}) {
				c.Wait() // run checks the state instead
				close(ended)
			}(second, secondEnded)
		default:
		}
		killed := k.kill()
		if k.store != nil && k.kills%4 == 3 { // refused while the second process runs
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
			k.during++
		}
		if done == len(k.good) {
			k.restart()
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
	k.Logf("%d kills, %d of them during the work", k.kills, k.during)
}

// kill starts a migration and a writer, and kills the migration after a random time. It returns
// false if the migration has ended before.
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

// write changes rows as another program does: UpdatedAt, and paths of the same file.
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
			statement = `UPDATE Atoms SET PayloadLocator = replace(PayloadLocator, '/models/', '/models/./')
				WHERE AtomId % 7 = ? AND Metadata LIKE '%ollama%' AND length(PayloadLocator) < 500`
		}
		if _, err := db.Exec(statement, i%7); err != nil {
			k.Error(err)
			return
		}
	}
}

// restart removes the copies from the rows, and adds a row.
func (k *locatorKiller) restart() {
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
		k.exec(`UPDATE Atoms SET Payload = NULL, BlobUri = NULL, BlobName = NULL, BlobSizeBytes = NULL,
			PayloadLocator = ? WHERE hex(ContentHash) = upper(?)`, path, digest)
	}
	k.added++
	name, d := k.file(fmt.Sprint("added", k.added), 1<<20)
	k.good[d] = true
	path := filepath.Join(k.folder, name)
	k.row(pathHash(path), "model", path, nil)
}
