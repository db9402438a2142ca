//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/storage"
)

// pausesVariable has the number of rounds of TestPauses.
const pausesVariable = "INGEST_TEST_PAUSES"

// TestPauses suspends a command at a random moment, expires its lease, runs other commands to their
// end, and resumes the first one. The commands are those that write to a store: models, gc, rm, and
// verify --repair. Each round begins with payloads that no row needs and that the next run will
// rely on, or with a damaged payload. In any order, verify finds everything afterwards.
func TestPauses(t *testing.T) { pauses(t, newBox(t, t.TempDir(), false)) }

// TestPausesOfBlobs is TestPauses with payloads in blobs.
func TestPausesOfBlobs(t *testing.T) {
	b := newBox(t, t.TempDir(), false)
	b.blobs = &blobs{account: azurite(t)}
	if err := b.blobs.reset(); err != nil {
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
	s := newSources(t, map[string]func(string) error{"small.gguf": manyTensors(120),
		"one.gguf": tuned("one", 3<<20, 1, 1), "two.gguf": tuned("two", 3<<20, 1, 2)})
	seed := uint64(time.Now().UnixNano())
	p := &pauser{box: b, sources: s, random: rand.New(rand.NewPCG(seed, 0)), durations: map[string]time.Duration{}}
	t.Logf("seed %d", seed)
	p.must("models", s.folder)
	for round := range rounds {
		p.round()
		if round%10 == 9 || round == rounds-1 {
			p.checkGarbage()
		}
		if t.Failed() {
			t.Fatalf("in round %d: %s", round, p.events)
		}
	}
	t.Logf("%d rounds: %d commands were suspended, %d of them lost their lease", rounds, p.suspended, p.lost)
	if rounds >= 50 && (p.suspended == 0 || p.lost == 0) {
		t.Error("no pause hit one of these cases")
	}
}

type pauser struct {
	box
	sources
	random    *rand.Rand
	durations map[string]time.Duration // of commands that are not suspended
	events    []string                 // of this round
	suspended int                      // commands
	lost      int                      // leases
}

func (p *pauser) round() {
	p.Helper()
	p.events = nil
	model := []string{"small", "one", "two"}[p.random.IntN(3)]
	damaged := p.random.IntN(3) == 0
	if damaged {
		p.damage()
	}
	// Put trusts the metadata of a blob, and would not replace a damaged one.
	if !damaged || p.blobs == nil && p.random.IntN(2) == 0 {
		p.events = append(p.events, "delete "+model)
		p.exec(fmt.Sprintf(`PRAGMA foreign_keys = ON; DELETE FROM Models WHERE ModelName = '%s'`, model))
	}
	suspended := p.commandFor(model, damaged)
	c := p.box.command(suspended...)
	if err := c.Start(); err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { c.Process.Kill() }) // most have ended long before
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	most := p.durations[suspended[0]] + 20*time.Millisecond
	if p.random.IntN(2) == 0 { // wait until it has its job
		for len(ended) == 0 && p.query(`SELECT count(*) FROM IngestionJobs WHERE LeaseExpiresMs IS NOT NULL`) == 0 {
			time.Sleep(time.Millisecond)
		}
		most /= 4
	}
	after := time.Duration(p.random.Int64N(int64(most)))
	time.Sleep(after)
	p.suspend(c)
	if len(ended) == 0 {
		p.suspended++
		p.events = append(p.events, fmt.Sprintf("%s, suspended after %s", suspended[0], after))
	}
	p.exec(`UPDATE IngestionJobs SET LeaseExpiresMs = 1 WHERE LeaseExpiresMs IS NOT NULL`)
	for range 1 + p.random.IntN(2) {
		args := p.commandFor(model, damaged)
		begun := time.Now()
		e := p.run(args...)
		p.durations[args[0]] = time.Since(begun)
		p.events = append(p.events, fmt.Sprintf("%s: exit code %d %s", args[0], e.code, e.stderr))
		p.noPanic(e)
	}
	c.Process.Signal(syscall.SIGCONT)
	<-ended
	e := p.result(c)
	p.events = append(p.events, fmt.Sprintf("%s, resumed: exit code %d %s", suspended[0], e.code, e.stderr))
	p.noPanic(e)
	if strings.Contains(e.stderr, "taken over") {
		p.lost++
	}
	p.repair(damaged)
}

// commandFor returns a random command that writes to the store.
func (p *pauser) commandFor(model string, damaged bool) []string {
	repair := []string{"verify", model, "--repair", p.path(model + ".gguf")}
	commands := [][]string{{"gc", "--yes", "--older-than", "0s"}, {"models", p.folder}, repair}
	if !damaged || p.blobs == nil { // see round
		commands = append(commands, []string{"rm", model, "--yes"})
	}
	return commands[p.random.IntN(len(commands))]
}

func (p *pauser) noPanic(e result) {
	p.Helper()
	if e.code < 0 || strings.Contains(e.stderr, "panic") || strings.Contains(e.stderr, "goroutine ") {
		p.Errorf("exit code %d\n%s", e.code, e.stderr)
	}
}

// repair stores the models again and repairs the damaged payload. Then everything must verify.
func (p *pauser) repair(damaged bool) {
	p.Helper()
	p.must("models", p.folder)
	if damaged {
		for _, model := range []string{"small", "one", "two"} { // a shared payload is reported in the first
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

// damage overwrites a payload in the store, or one that the catalogue keeps, with zeros.
func (p *pauser) damage() {
	p.Helper()
	if p.random.IntN(3) == 0 {
		p.events = append(p.events, "damage a payload that the catalogue keeps")
		p.exec(`UPDATE SmallPayloads SET Payload = zeroblob(length(Payload))
			WHERE PayloadAtomId = (SELECT min(PayloadAtomId) FROM SmallPayloads)`)
		return
	}
	store, all := p.objects()
	object := all[p.random.IntN(len(all))]
	p.events = append(p.events, "damage "+object.Name)
	at := ingest.Address{Name: object.Name, Encoding: encodingOf(object)}
	if _, err := store.Replace(p.Context(), object.Digest, at, make([]byte, object.Bytes)); err != nil {
		p.Fatal(err)
	}
}

// encodingOf returns the encoding in the name of an object.
func encodingOf(object ingest.Object) ingest.Encoding {
	p, ok := storage.ParsePayload(path.Base(object.Name))
	if !ok || p.Content == p.Digest {
		return ingest.Encoding{}
	}
	return ingest.Encoding{Codec: codec.Name, Stored: p.Content}
}

// checkGarbage checks that gc keeps the payloads that rows need and no others.
func (p *pauser) checkGarbage() {
	p.Helper()
	p.must("gc", "--yes", "--older-than", "0s")
	needed := p.audit(p.digests).stored
	_, all := p.objects()
	for _, object := range all {
		if _, ok := needed[object.Name]; !ok || object.Hidden {
			p.Errorf("after gc the store holds %+v", object)
		}
	}
	if len(all) != len(needed) {
		p.Errorf("after gc the store holds %d objects, and rows need %d", len(all), len(needed))
	}
}
