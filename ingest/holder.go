package ingest

import (
	"os"
	"sync"
)

// ThisProcess names the running process as the holder of a lease.
var ThisProcess = sync.OnceValue(func() Holder {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return Holder{Host: host + bootIdentity(), Process: os.Getpid(), Started: processStarted(os.Getpid())}
})

// Gone reports whether h is known to have ended: it ran on this machine, since its last start
// and in the same container, and no such process is there now. A holder elsewhere is
// never known to be gone; its lease lapses.
func (h Holder) Dead() bool {
	if h.Host != ThisProcess().Host {
		return false
	}
	started := processStarted(h.Process)
	return started != h.Started && started >= 0 // negative: it is there, and may not be looked at
}
