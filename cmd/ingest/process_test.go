//go:build unix

package main

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// start starts the program and waits until the catalogue shows what ready looks for.
func (b box) start(ready string, args ...string) *exec.Cmd {
	b.Helper()
	c := b.command(args...)
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Process.Kill() }) // most have ended long before
	b.until(ready, func() bool { return b.query(ready) > 0 })
	return c
}

// amidFile counts the files that are recorded in part.
const amidFile = `SELECT count(*) FROM ModelFiles WHERE RecordedBytes > 0 AND RecordedBytes < ByteSize`

// startAmid starts a command and puts it to sleep in the middle of a file of several batches. A command that goes on to
// its next file is woken and tried again; one that is done by then is started again, from nothing.
func (b box) startAmid(args ...string) *exec.Cmd {
	b.Helper()
	const over = `SELECT count(*) FROM IngestionJobs WHERE Status <> 'open'`
	for range 10 {
		c := b.start(`SELECT (`+amidFile+`) + (`+over+`)`, args...)
		for {
			b.stop(c)
			if b.query(amidFile) > 0 {
				return c
			}
			if b.query(over) > 0 {
				break
			}
			c.Process.Signal(syscall.SIGCONT)
			b.until("a file that is recorded in part", func() bool { return b.query(amidFile)+b.query(over) > 0 })
		}
		c.Process.Kill()
		b.wait(c)
		for _, path := range []string{b.catalog, b.catalog + "-wal", b.catalog + "-shm", b.store} {
			if err := os.RemoveAll(path); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Fatal("it was done each time before it was put to sleep")
	return nil
}

// query asks the catalogue for a number; 0 while there is none to ask.
func (b box) query(text string) (n int64) {
	db, err := sql.Open("sqlite", "file:"+b.catalog+"?mode=ro&_pragma=busy_timeout(1000)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var found sql.NullInt64
	_ = db.QueryRow(text).Scan(&found) // the catalogue may not be there yet
	return found.Int64
}

// until waits for something that has to come.
func (b box) until(what string, come func() bool) {
	b.Helper()
	for deadline := time.Now().Add(time.Minute); !come(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("waited in vain for: %s", what)
		}
	}
}

// wait waits for the end of a command.
func (b box) wait(c *exec.Cmd) ended {
	c.Wait() // the code says how it ended
	return b.ended(c)
}

// lock takes the catalogue's write lock, as another program could.
func (b box) lock() (release func()) {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+b.catalog+"?_pragma=busy_timeout(60000)")
	if err != nil {
		b.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := conn.ExecContext(context.Background(), `BEGIN IMMEDIATE`); err != nil {
		b.Fatal(err)
	}
	return func() {
		conn.ExecContext(context.Background(), `ROLLBACK`)
		conn.Close()
		db.Close()
	}
}

// stop stops a process while the test holds the catalogue's write lock, so that the process does not. A signal
// is delivered after kill(2) returns, so stop waits for the process's state before it gives the lock back.
func (b box) stop(c *exec.Cmd) {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+b.catalog+"?_pragma=busy_timeout(0)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Microsecond) {
		if _, err = conn.ExecContext(context.Background(), `BEGIN IMMEDIATE`); err == nil {
			break
		}
		if time.Now().After(deadline) {
			b.Fatalf("the catalogue was locked all the time: %v", err)
		}
	}
	c.Process.Signal(syscall.SIGSTOP)
	b.until("the process to stop", func() bool {
		state, err := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(c.Process.Pid)).Output()
		return err != nil || state[0] == 'T' || state[0] == 'Z' // an error: it has ended
	})
	if _, err := conn.ExecContext(context.Background(), `ROLLBACK`); err != nil {
		b.Fatal(err)
	}
}
