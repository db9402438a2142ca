//go:build unix

package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// start starts the program and waits until the query ready returns more than 0.
func (b box) start(ready string, args ...string) *exec.Cmd {
	b.Helper()
	c := b.command(args...)
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Process.Kill() }) // most have ended long before
	b.waitFor(ready, func() bool { return b.query(ready) > 0 })
	return c
}

// running is a process that runs beside the test.
type running struct {
	*exec.Cmd
	ended chan struct{}
}

// beside starts the program.
func (b box) beside(args ...string) *running {
	b.Helper()
	p := &running{b.command(args...), make(chan struct{})}
	if err := p.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Process.Kill() }) // most have ended long before
	go func() {
		p.Wait() // the code says how it ended
		close(p.ended)
	}()
	return p
}

// over reports whether the process has ended.
func (p *running) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// hadLease reports whether a process that was killed had the lease of a job.
func (b box) hadLease(process int) (had bool) {
	b.Helper()
	b.outside(func(o *outside) {
		had = o.number(`SELECT COUNT(*) FROM dbo.IngestionJobs WHERE Status = N'open' AND LeaseHolder LIKE @p1`,
			fmt.Sprintf(`%%"process":%d,%%`, process)) > 0
	})
	return had
}

// partialFiles counts the partially recorded files.
const partialFiles = `SELECT count(*) FROM ModelFiles WHERE RecordedBytes > 0 AND RecordedBytes < ByteSize`

// suspendMidFile starts a command and suspends it in the middle of a file of several batches. If
// the command has ended before, suspendMidFile starts again with an empty catalogue.
func (b box) suspendMidFile(args ...string) *exec.Cmd {
	b.Helper()
	const over = `SELECT count(*) FROM IngestionJobs WHERE Status <> 'open'`
	for range 10 {
		c := b.start(`SELECT (`+partialFiles+`) + (`+over+`)`, args...)
		for {
			b.suspend(c)
			if b.query(partialFiles) > 0 {
				return c
			}
			if b.query(over) > 0 {
				break
			}
			c.Process.Signal(syscall.SIGCONT)
			b.waitFor("a partially recorded file", func() bool { return b.query(partialFiles)+b.query(over) > 0 })
		}
		c.Process.Kill()
		b.wait(c)
		for _, path := range []string{b.catalog, b.catalog + "-wal", b.catalog + "-shm", b.store} {
			if err := os.RemoveAll(path); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Fatal("it ended each time before it was suspended")
	return nil
}

// waitFor waits until done returns true. The limit is for a machine that is busy with other work.
func (b box) waitFor(what string, done func() bool) {
	b.Helper()
	for deadline := time.Now().Add(10 * time.Minute); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("timeout: %s", what)
		}
	}
}

// wait waits for the end of a command, and returns its result.
func (b box) wait(c *exec.Cmd) result {
	c.Wait() // the code says how it ended
	return b.result(c)
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

// suspend stops a process while the test has the catalogue's write lock, so that the process has
// none. The signal takes effect after kill(2) returns, so suspend waits for the process's state.
func (b box) suspend(c *exec.Cmd) {
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
	for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(100 * time.Microsecond) {
		if _, err = conn.ExecContext(context.Background(), `BEGIN IMMEDIATE`); err == nil {
			break
		}
		if time.Now().After(deadline) {
			b.Fatalf("the catalogue was locked all the time: %v", err)
		}
	}
	c.Process.Signal(syscall.SIGSTOP)
	b.waitFor("the process to stop", func() bool {
		state, err := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(c.Process.Pid)).Output()
		return err != nil || state[0] == 'T' || state[0] == 'Z' // an error: it has ended
	})
	if _, err := conn.ExecContext(context.Background(), `ROLLBACK`); err != nil {
		b.Fatal(err)
	}
}
