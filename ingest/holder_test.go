package ingest

import (
	"bufio"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestMain also is the child of TestHolderGone, which says that it is there and waits.
func TestMain(m *testing.M) {
	if os.Getenv("INGEST_TEST_WAIT") != "" {
		os.Stdout.WriteString("here\n")
		time.Sleep(time.Minute)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestHolderGone: a process is gone once it has ended, and whoever has its number then is another one.
func TestHolderGone(t *testing.T) {
	if ThisProcess().Dead() {
		t.Error("this process is gone")
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
		t.Errorf("%+v is there, and counts as gone", holder)
	}
	elsewhere, another := holder, holder
	elsewhere.Host += "x"
	another.Started--
	if elsewhere.Dead() || !another.Dead() {
		t.Errorf("one elsewhere is gone: %v; one with the number of another: %v", elsewhere.Dead(), another.Dead())
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// it has ended, and nobody has asked how
	for deadline := time.Now().Add(10 * time.Second); !holder.Dead(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a process that was killed and not reaped does not count as gone")
		}
	}
	_ = child.Wait() // it was killed
	if !holder.Dead() || elsewhere.Dead() {
		t.Errorf("after its end: gone here %v, elsewhere %v", holder.Dead(), elsewhere.Dead())
	}
	if (Holder{}).Dead() {
		t.Error("nobody is gone")
	}
}
