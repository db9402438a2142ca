package sqlcatalog

import (
	"errors"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

var (
	us   = ingest.Holder{Host: "here", Process: 1, Started: 5}
	them = ingest.Holder{Host: "there", Process: 2}
)

// leasedFor is a job of them with left ms on its lease; -1 for no lease.
func leasedFor(left int64, exclusive bool) *leased {
	holder := formatHolder(them)
	j := &leased{Job: 3, status: "open", holder: &holder, left: &left, Exclusive: exclusive}
	if left < 0 {
		j.left = nil
	}
	return j
}

func dead(h ingest.Holder) bool { return h == them }

func TestHolderRoundTrip(t *testing.T) {
	for _, h := range []ingest.Holder{{}, us, them} {
		if got := parseHolder(formatHolder(h)); got != h {
			t.Errorf("%+v became %+v", h, got)
		}
	}
	for _, text := range []string{"", "alice", "[]"} {
		if got := parseHolder(text); got != (ingest.Holder{}) {
			t.Errorf("%q is %+v, want the zero Holder", text, got)
		}
	}
	if got := new(leased).heldBy(); got != (ingest.Holder{}) {
		t.Errorf("NULL is %+v, want the zero Holder", got)
	}
}

func TestBusy(t *testing.T) {
	for name, test := range map[string]struct {
		left int64
		dead func(ingest.Holder) bool
		busy bool
	}{
		"live":                {1500, nil, true},
		"live, not dead":      {1500, func(ingest.Holder) bool { return false }, true},
		"live, holder dead":   {1500, dead, false},
		"expired":             {0, nil, false},
		"no lease":            {-1, nil, false},
		"about to expire":     {1, nil, true},
		"expired and is dead": {0, dead, false},
	} {
		err := leasedFor(test.left, false).busy(test.dead)
		if (err != nil) != test.busy {
			t.Errorf("%s: error is %v", name, err)
			continue
		}
		var busy *ingest.BusyError
		if err != nil && (!errors.As(err, &busy) || busy.Job != 3 || busy.Holder != them ||
			busy.Until != time.Duration(test.left)*time.Millisecond) {
			t.Errorf("%s: %+v", name, err)
		}
	}
}

func TestCheckTakeable(t *testing.T) {
	for name, test := range map[string]struct {
		left    int64
		request ingest.JobRequest
		taken   bool
	}{
		"live":              {1500, ingest.JobRequest{Holder: us}, false},
		"live, holder dead": {1500, ingest.JobRequest{Holder: us, HolderDead: dead}, true},
		"the holder again":  {1500, ingest.JobRequest{Holder: them}, true},
		"expired":           {0, ingest.JobRequest{Holder: us}, true},
	} {
		if err := leasedFor(test.left, false).checkTakeable(test.request); (err == nil) != test.taken {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestInTheWay(t *testing.T) {
	for name, test := range map[string]struct {
		left         int64
		exclusive    bool // theirs is exclusive
		request      ingest.JobRequest
		inTheWay, ok bool
	}{
		"live":                         {1500, false, ingest.JobRequest{}, false, true},
		"expired":                      {0, false, ingest.JobRequest{}, false, true},
		"holder dead":                  {1500, false, ingest.JobRequest{HolderDead: dead}, true, true},
		"live, ours is exclusive":      {1500, false, ingest.JobRequest{Exclusive: true}, false, false},
		"live, theirs is exclusive":    {1500, true, ingest.JobRequest{}, false, false},
		"expired, ours is exclusive":   {0, false, ingest.JobRequest{Exclusive: true}, true, true},
		"expired, theirs is exclusive": {0, true, ingest.JobRequest{}, true, true},
		"holder dead, both are exclusive": {1500, true, ingest.JobRequest{Exclusive: true, HolderDead: dead}, true,
			true},
		"live, holder not dead, ours is exclusive": {1500, false, ingest.JobRequest{Exclusive: true,
			HolderDead: func(ingest.Holder) bool { return false }}, false, false},
	} {
		inTheWay, err := leasedFor(test.left, test.exclusive).inTheWay(test.request)
		if inTheWay != test.inTheWay || (err == nil) != test.ok {
			t.Errorf("%s: %v, %v", name, inTheWay, err)
		}
	}
}

func TestCheckOpen(t *testing.T) {
	for status, open := range map[string]bool{"open": true, "complete": false, "failed": false, "": false} {
		j := leased{status: status}
		if err := j.checkOpen(); (err == nil) != open {
			t.Errorf("%q: error is %v", status, err)
		}
	}
}

func TestCheckRequest(t *testing.T) {
	for ttl, ok := range map[time.Duration]bool{time.Millisecond: true, time.Millisecond - 1: false, 0: false,
		-time.Hour: false} {
		if err := checkRequest(ingest.JobRequest{Pipeline: "models", Source: "/a", TTL: ttl}); (err == nil) != ok {
			t.Errorf("%s: error is %v", ttl, err)
		}
	}
}

func TestUpdateKeepsWhatTheRequestOmits(t *testing.T) {
	m := jobMetadata{Paths: []string{"/old"}, Options: map[string]string{"a": "old"},
		Problems: []ingest.Problem{{Path: "/old"}}}
	m.update(ingest.JobRequest{})
	if len(m.Paths) != 1 || m.Paths[0] != "/old" || m.Options["a"] != "old" {
		t.Errorf("a request by number changed %+v", m)
	}
	m.update(ingest.JobRequest{Paths: []string{"/new"}})
	if m.Paths[0] != "/new" || m.Options["a"] != "old" {
		t.Errorf("a request with paths: %+v", m)
	}
	m.update(ingest.JobRequest{Options: map[string]string{}})
	if len(m.Options) != 0 || len(m.Problems) != 1 {
		t.Errorf("a request with empty options: %+v", m)
	}
}
