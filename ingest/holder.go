package ingest

import (
	"os"
	"sync"
)

// ThisProcess returns the running process as a holder of leases.
func ThisProcess() Holder { return thisProcess() }

var thisProcess = sync.OnceValue(func() Holder {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return Holder{Host: host + bootIdentity(), Process: os.Getpid(), Started: processStarted(os.Getpid())}
})

// Dead reports whether h is known to have ended: it ran on this machine since its last boot, in the
// same container, and no longer exists. It is false for a holder elsewhere; that one's lease has to
// expire.
func (h Holder) Dead() bool {
	if h.Host != ThisProcess().Host {
		return false
	}
	started := processStarted(h.Process)
	return started != h.Started && started >= 0 // negative: not allowed to look
}
