package azureblob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// counted reads the body of a request and answers with answer bytes.
type counted struct{ answer int }

func (e counted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(make([]byte, e.answer)))}, nil
}

// exchange sends and receives a body.
func exchange(ctx context.Context, t *transport, size int) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://host/x", bytes.NewReader(make([]byte, size)))
	if err != nil {
		return err
	}
	answer, err := t.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return errors.Join(err, answer.Body.Close())
}

// TestLimitHolds measures in synthetic time what four callers send and receive together.
func TestLimitHolds(t *testing.T) {
	for name, sizes := range map[string][2]int{
		"sent": {1_000_000, 0}, "received": {0, 1_000_000}, "both": {500_000, 500_000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				capped := &transport{
					access: &access{host: "host"},
					rounds: counted{sizes[1]},
					limit:  newLimit(80),
				} // 10 MB a second
				begun := time.Now()
				var group sync.WaitGroup
				for range 4 {
					group.Go(func() {
						for range 10 {
							if err := exchange(t.Context(), capped, sizes[0]); err != nil {
								t.Error(err)
							}
						}
					})
				}
				group.Wait()
				if took := time.Since(begun); took < 3900*time.Millisecond || took > 4*time.Second {
					t.Errorf("40 MB at 10 MB/s took %s", took)
				}
			})
		})
	}
}

// A body that net/http sends again counts again.
func TestLimitCountsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := http.NewRequestWithContext(
			t.Context(),
			http.MethodPut,
			"http://host/x",
			bytes.NewReader(make([]byte, 1_000_000)),
		)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		limited := newLimit(8).request(r)
		again, err := limited.GetBody()
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range []io.Reader{limited.Body, again} {
			if n, err := io.Copy(io.Discard, body); n != 1_000_000 || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
		}
		if took := time.Since(begun); took < 1900*time.Millisecond {
			t.Errorf("2 MB at 1 MB/s took %s", took)
		}
	})
}

func TestLimitStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &transport{
			access: &access{host: "host"},
			rounds: counted{},
			limit:  newLimit(0.008),
		} // 1,000 bytes a second
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		begun := time.Now()
		if err := exchange(ctx, slow, 1_000_000); !errors.Is(err, context.Canceled) ||
			time.Since(begun) > 4*time.Second {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := exchange(short, slow, 1_000_000); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a deadline: %v", err)
		}
	})
}

func TestNoLimit(t *testing.T) {
	for _, megabits := range []float64{0, -1} {
		if newLimit(megabits) != nil {
			t.Errorf("%v megabits are a limit", megabits)
		}
	}
	if err := exchange(t.Context(), &transport{access: &access{host: "host"}, rounds: counted{10}}, 10); err != nil {
		t.Error(err)
	}
}
