//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// pausesVariable has the number of rounds of TestPauses.
const pausesVariable = "INGEST_TEST_PAUSES"

// TestPauses puts a command to sleep at a random moment, ends its lease as if it had lapsed, runs others
// from their beginning to their end, and wakes it up. The commands are those that write to a store:
// models, gc, rm, and verify --repair. Each round begins with payloads that no row needs and that the next
// run will rely on, or with a damaged one. Whatever the order, verify finds everything afterwards.
func TestPauses(t *testing.T) { pauses(t, newBox(t, t.TempDir(), false)) }

// TestPausesOfBlobs is TestPauses with payloads in blobs.
func TestPausesOfBlobs(t *testing.T) {
	b := newBox(t, t.TempDir(), false)
	b.blobs = &blobs{account: azurite(t)}
	if err := b.blobs.renew(); err != nil {
		t.Fatal(err)
	}
	pauses(t, b)
}

func pauses(t *testing.T, b box) {
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	if text := os.Getenv(pausesVariable); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", pausesVariable, err)
		}
	}
	s := newSources(t, map[string]func(string) error{"crumbs.gguf": crumbs(120),
		"one.gguf": tuned("one", 3<<20, 1, 1), "two.gguf": tuned("two", 3<<20, 1, 2)})
	seed := uint64(time.Now().UnixNano())
	p := &pauser{box: b, sources: s, random: rand.New(rand.NewPCG(seed, 0)), lasts: map[string]time.Duration{}}
	t.Logf("seed %d", seed)
	p.must("models", s.folder)
	for round := range rounds {
		p.round()
		if round%10 == 9 || round == rounds-1 {
			p.tidy()
		}
		if t.Failed() {
			t.Fatalf("in round %d: %s", round, p.story)
		}
	}
	t.Logf("%d rounds: %d commands were put to sleep before their end, %d of them lost their lease", rounds, p.amid, p.lost)
	if rounds >= 50 && (p.amid == 0 || p.lost == 0) {
		t.Error("the pauses missed what they are for")
	}
}

type pauser struct {
	box
	sources
	random     *rand.Rand
	lasts      map[string]time.Duration // how long a command takes that is not disturbed
	story      []string                 // of this round
	amid, lost int
}

func (p *pauser) round() {
	p.Helper()
	p.story = nil
	model := []string{"crumbs", "one", "two"}[p.random.IntN(3)]
	damaged := p.random.IntN(3) == 0
	if damaged {
		p.damage()
	}
	if !damaged || p.blobs == nil && p.random.IntN(2) == 0 { // a blob says itself what it should be, and Put believes it
		p.story = append(p.story, "forget "+model)
		p.exec(fmt.Sprintf(`PRAGMA foreign_keys = ON; DELETE FROM Models WHERE ModelName = '%s'`, model))
	}
	sleeper := p.commandFor(model, damaged)
	c := p.box.command(sleeper...)
	if err := c.Start(); err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { c.Process.Kill() }) // most have ended long before
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	most := p.lasts[sleeper[0]] + 20*time.Millisecond
	if p.random.IntN(2) == 0 { // once it has its job
		for len(ended) == 0 && p.query(`SELECT count(*) FROM IngestionJobs WHERE LeaseExpiresMs IS NOT NULL`) == 0 {
			time.Sleep(time.Millisecond)
		}
		most /= 4
	}
	after := time.Duration(p.random.Int64N(int64(most)))
	time.Sleep(after)
	p.stop(c)
	if len(ended) == 0 {
		p.amid++
		p.story = append(p.story, fmt.Sprintf("%s, asleep after %s", sleeper[0], after))
	}
	p.exec(`UPDATE IngestionJobs SET LeaseExpiresMs = 1 WHERE LeaseExpiresMs IS NOT NULL`)
	for range 1 + p.random.IntN(2) {
		args := p.commandFor(model, damaged)
		begun := time.Now()
		e := p.run(args...)
		p.lasts[args[0]] = time.Since(begun)
		p.story = append(p.story, fmt.Sprintf("%s: exit code %d %s", args[0], e.code, e.stderr))
		p.noPanic(e)
	}
	c.Process.Signal(syscall.SIGCONT)
	<-ended
	e := p.ended(c)
	p.story = append(p.story, fmt.Sprintf("%s, awake: exit code %d %s", sleeper[0], e.code, e.stderr))
	p.noPanic(e)
	if strings.Contains(e.stderr, "taken over") {
		p.lost++
	}
	p.heal(damaged)
}

// commandFor is one of the commands that write to the store.
func (p *pauser) commandFor(model string, damaged bool) []string {
	repair := []string{"verify", model, "--repair", p.path(model + ".gguf")}
	commands := [][]string{{"gc", "--yes", "--older-than", "0s"}, {"models", p.folder}, repair}
	if !damaged || p.blobs == nil { // see round
		commands = append(commands, []string{"rm", model, "--yes"})
	}
	return commands[p.random.IntN(len(commands))]
}

func (p *pauser) noPanic(e ended) {
	p.Helper()
	if e.code < 0 || strings.Contains(e.stderr, "panic") || strings.Contains(e.stderr, "goroutine ") {
		p.Errorf("exit code %d\n%s", e.code, e.stderr)
	}
}

// heal has the models that were forgotten stored again, and what was damaged repaired. Then all is
// there.
func (p *pauser) heal(damaged bool) {
	p.Helper()
	p.must("models", p.folder)
	if damaged {
		for _, model := range []string{"crumbs", "one", "two"} { // what they share is damaged in the first that has it
			p.run("verify", model, "--repair", p.path(model+".gguf"))
		}
	}
	p.must("verify", "--read")
}

// objects lists the store.
func (p *pauser) objects() (store ingest.Store, all []ingest.Object) {
	p.Helper()
	address := "dir:" + p.store
	if p.blobs != nil {
		address = p.blobs.container
	}
	store, err := (&program{}).openStore(p.Context(), address)
	if err != nil {
		p.Fatal(err)
	}
	for object, err := range store.List(p.Context()) {
		if err != nil {
			p.Fatal(err)
		}
		all = append(all, object)
	}
	return store, all
}

// damage writes something else in the place of a payload.
func (p *pauser) damage() {
	p.Helper()
	store, all := p.objects()
	object := all[p.random.IntN(len(all))]
	p.story = append(p.story, "damage "+object.Name)
	at := ingest.Address{Name: object.Name}
	if _, err := store.Replace(p.Context(), object.Digest, at, make([]byte, object.Bytes)); err != nil {
		p.Fatal(err)
	}
}

// tidy wants gc to leave what rows need, in its place, and nothing else.
func (p *pauser) tidy() {
	p.Helper()
	p.must("gc", "--yes", "--older-than", "0s")
	needed := p.look(p.truth).digests
	_, all := p.objects()
	for _, object := range all {
		if _, ok := needed[object.Digest]; !ok || object.Hidden {
			p.Errorf("after gc the store holds %+v", object)
		}
	}
	if len(all) != len(needed) {
		p.Errorf("after gc the store holds %d objects, and rows need %d", len(all), len(needed))
	}
}
