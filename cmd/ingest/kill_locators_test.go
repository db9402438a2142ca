//go:build unix

package main

import (
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestKillLocators kills migrations of locators at random moments, while a second process migrates,
// gc runs, and another program changes, inserts and deletes rows. INGEST_TEST_KILLS is the number of
// kills for each target.
func TestKillLocators(t *testing.T) {
	if rerunWithoutRace(t) {
		return
	}
	for _, to := range targets() {
		t.Run(filepath.Base(to), func(t *testing.T) {
			newLocatorKiller(newRegistry(t, to)).run(killsOf(t, 14, 4))
		})
	}
}

// TestKillLocatorsSQLServer is TestKillLocators on a server.
func TestKillLocatorsSQLServer(t *testing.T) {
	serverAddress(t)
	if rerunWithoutRace(t) {
		return
	}
	for to, edition := range map[string]string{inRows: "filestream", "dir": "plain"} {
		t.Run(to, func(t *testing.T) {
			s := newServer(t)
			s.createAtoms(t, edition)
			r := newRegistryOn(t, s, to)
			r.plain = edition == "plain"
			newLocatorKiller(r).run(killsOf(t, 8, 2))
		})
	}
}

type locatorKiller struct {
	*registry
	random *rand.Rand // r.random is the writer's
	kills  int
	amid   int // kills of a process that had a lease
	rounds int // all rows were migrated
	gcs    int // runs of gc that were not refused because of a migration
}

func newLocatorKiller(r *registry) *locatorKiller {
	r.fill(5, 600<<10)
	r.most = len(r.contents) + 50
	r.run(r.migrate("--limit", "1")...) // creates the store, without which gc fails
	return &locatorKiller{registry: r, random: rand.New(rand.NewPCG(seedOf(r.TB), 1))}
}

func (k *locatorKiller) clearing() []string { return k.migrate("--clear-locators") }

func (k *locatorKiller) collect() []string {
	return []string{"gc", "--yes", "--store", k.to, "--older-than", "0s"}
}

// run kills until there are enough kills. When all rows are migrated, it starts over.
func (k *locatorKiller) run(enough int) {
	k.Helper()
	second, gc := k.beside(k.clearing()...), k.beside(k.collect()...)
	for k.kills < enough {
		if second.over() {
			k.migrated(second)
			second = k.beside(k.clearing()...)
		}
		if gc.over() && k.random.IntN(3) == 0 {
			k.collected(gc, &k.gcs)
			gc = k.beside(k.collect()...)
		}
		k.kill()
		done, all := stored(k.check())
		if k.Failed() {
			k.FailNow()
		}
		if done == all {
			k.rounds++
			k.restart()
		}
	}
	<-second.ended
	<-gc.ended
	k.collected(gc, &k.gcs)
	k.migrated(second)
	last := k.beside(k.clearing()...)
	<-last.ended
	k.expected().compare("the last run", k.result(last.Cmd))
	k.final(true)
	k.must(k.collect()...)
	k.final(true)
	k.verify()
	k.Logf("%d kills, %d of them of a process with a lease; all rows migrated %d times; gc ran %d times; %d changes "+
		"by another program", k.kills, k.amid, k.rounds, k.gcs, k.wrote)
}

// migrated checks the result of a migration: some rows cannot be migrated.
func (k *locatorKiller) migrated(p *running) {
	k.Helper()
	if e := k.result(p.Cmd); e.code != exitSomeRefused {
		k.Errorf("migrate: exit code %d\n%s", e.code, e.stderr)
	}
}

// kill starts a migration and the other program, and kills the migration after a random time.
func (k *locatorKiller) kill() {
	k.Helper()
	back := k.random.IntN(4) == 0
	args := k.migrate()
	switch {
	case back:
		args = k.undoing()
	case k.random.IntN(2) == 0:
		args = k.clearing()
	}
	p := k.beside(args...)
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { k.writeUntil(stop) })
	time.Sleep(15*time.Millisecond + time.Duration(k.random.Int64N(int64(700*time.Millisecond))))
	p.Process.Kill()
	<-p.ended
	if k.hadLease(p.Process.Pid) {
		k.amid++
	}
	close(stop)
	writer.Wait()
	if err := k.database().drain(k.Context(), p.Process.Pid); err != nil {
		k.Error(err)
	}
	switch {
	case !p.ProcessState.Exited():
		k.kills++
	case !back: // it ended before it was killed
		k.migrated(p)
	default: // rows without a path keep their copies
		if e := k.result(p.Cmd); e.code != exitDone && e.code != exitSomeRefused {
			k.Errorf("migrate --back: exit code %d\n%s", e.code, e.stderr)
		}
	}
}
