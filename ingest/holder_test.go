package ingest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestMain is also the child process of TestHolderDead.
func TestMain(m *testing.M) {
	if os.Getenv("INGEST_TEST_WAIT") != "" {
		os.Stdout.WriteString("here\n")
		time.Sleep(time.Minute)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestHolderDead: a process is dead when it has ended, even if another one has its ID.
func TestHolderDead(t *testing.T) {
	if ThisProcess().Dead() {
		t.Error("this process is dead")
	}
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "INGEST_TEST_WAIT=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	holder := Holder{Host: ThisProcess().Host, Process: child.Process.Pid, Started: processStarted(child.Process.Pid)}
	if holder.Started == 0 || holder.Dead() {
		t.Errorf("%+v is running, but dead", holder)
	}
	elsewhere, another := holder, holder
	elsewhere.Host += "x"
	another.Started--
	if elsewhere.Dead() || !another.Dead() {
		t.Errorf("on another host: dead %v; with a reused ID: dead %v", elsewhere.Dead(), another.Dead())
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !holder.Dead(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a zombie is not dead")
		}
	}
	_ = child.Wait() // it was killed
	if !holder.Dead() || elsewhere.Dead() {
		t.Errorf("after its end: dead %v, on another host %v", holder.Dead(), elsewhere.Dead())
	}
	host, err := os.Hostname()
	if want := fmt.Sprintf("process %d on %s", os.Getpid(), host); err != nil || ThisProcess().String() != want {
		t.Errorf("%q, want %q; %v", ThisProcess(), want, err)
	}
	if (Holder{}).Dead() {
		t.Error("the zero holder is dead")
	}
}
