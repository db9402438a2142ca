package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// Short names for the table of flaws.
type (
	digest    = ingest.Digest
	address   = ingest.Address
	confirmed = func(context.Context) error
)

// brokenStore is the environment variable with the flaw of the store on which TestBroken runs the
// suite, in a process of its own.
const brokenStore = "INGEST_TEST_BROKEN_STORE"

// broken is a handle on a store in memory with one flaw.
type broken struct {
	ingest.Store
	memory *storetest.Memory
	flaw
}

// flaw has a function for each verb that is wrong. s.Store is the correct store.
type flaw struct {
	put     func(s broken, ctx context.Context, key ingest.Key, p []byte) (address, error)
	reuse   func(s broken, ctx context.Context, digest digest, at address) (address, bool, error)
	replace func(s broken, ctx context.Context, digest digest, at address, p []byte) (address, error)
	get     func(s broken, ctx context.Context, digest digest, at address, offset int64, into []byte) error
	stat    func(s broken, ctx context.Context, digest digest, at address) (bool, error)
	holds   func(s broken, ctx context.Context, digest digest, at address) (bool, error)
	list    func(s broken, ctx context.Context) iter.Seq2[ingest.Object, error]
	delete  func(s broken, ctx context.Context, objects []ingest.Object, confirm confirmed) ([]error, error)
	owner   func(s broken, ctx context.Context, claim string) (string, error)
}

func (b broken) Put(ctx context.Context, key ingest.Key, p []byte) (address, error) {
	if b.put != nil {
		return b.put(b, ctx, key, p)
	}
	return b.Store.Put(ctx, key, p)
}

func (b broken) Reuse(ctx context.Context, digest digest, at address) (address, bool, error) {
	if b.reuse != nil {
		return b.reuse(b, ctx, digest, at)
	}
	return b.Store.Reuse(ctx, digest, at)
}

func (b broken) Replace(ctx context.Context, digest digest, at address, p []byte) (address, error) {
	if b.replace != nil {
		return b.replace(b, ctx, digest, at, p)
	}
	return b.Store.Replace(ctx, digest, at, p)
}

func (b broken) Get(ctx context.Context, digest digest, at address, offset int64, into []byte) error {
	if b.get != nil {
		return b.get(b, ctx, digest, at, offset, into)
	}
	return b.Store.Get(ctx, digest, at, offset, into)
}

func (b broken) Stat(ctx context.Context, digest digest, at address) (bool, error) {
	if b.stat != nil {
		return b.stat(b, ctx, digest, at)
	}
	return b.Store.Stat(ctx, digest, at)
}

func (b broken) Holds(ctx context.Context, digest digest, at address) (bool, error) {
	if b.holds != nil {
		return b.holds(b, ctx, digest, at)
	}
	return b.Store.Holds(ctx, digest, at)
}

func (b broken) List(ctx context.Context) iter.Seq2[ingest.Object, error] {
	if b.list != nil {
		return b.list(b, ctx)
	}
	return b.Store.List(ctx)
}

func (b broken) Delete(ctx context.Context, objects []ingest.Object, confirm confirmed) ([]error, error) {
	if b.delete != nil {
		return b.delete(b, ctx, objects, confirm)
	}
	return b.Store.Delete(ctx, objects, confirm)
}

func (b broken) Owner(ctx context.Context, claim string) (string, error) {
	if b.owner != nil {
		return b.owner(b, ctx, claim)
	}
	return b.Store.Owner(ctx, claim)
}

func (b broken) DamageAt(digest digest, at address, p []byte) {
	b.memory.DamageAt(digest, at, p)
}

// hidden reports whether a Delete has hidden the payload of digest.
func (b broken) hidden(digest digest) bool {
	for object := range b.memory.List(context.Background()) {
		if object.Digest == digest && object.Hidden {
			return true
		}
	}
	return false
}

func yes(context.Context) error { return nil }

// flaws break one rule of the contract each. want is the part of the suite that must fail.
var flaws = map[string]struct {
	want string
	flaw func() flaw
}{
	"holds any address of its payloads": {"holds", func() flaw {
		return flaw{holds: func(s broken, ctx context.Context, digest digest, at address) (bool, error) {
			_, err := s.Store.Stat(ctx, digest, at)
			return err == nil, nil
		}}
	}},
	"reuses any address of its payloads": {"reuse", func() flaw {
		return flaw{reuse: func(s broken, ctx context.Context, digest digest, at address) (address, bool, error) {
			_, err := s.Store.Stat(ctx, digest, at)
			return at, err == nil, ctx.Err()
		}}
	}},
	"reuses nothing": {"reuse", func() flaw {
		return flaw{reuse: func(_ broken, ctx context.Context, _ digest, _ address) (address, bool, error) {
			return address{}, false, ctx.Err()
		}}
	}},
	"reuses a damaged payload": {"reuse", func() flaw {
		return flaw{reuse: func(s broken, ctx context.Context, digest digest, at address) (address, bool, error) {
			held, err := s.Store.Holds(ctx, digest, at)
			if !held || err != nil {
				at = address{}
			}
			return at, held, err
		}}
	}},
	"forgets the encoding": {"encodings", func() flaw {
		return flaw{put: func(s broken, ctx context.Context, key ingest.Key, p []byte) (address, error) {
			at, err := s.Store.Put(ctx, key, p)
			at.Encoding = ingest.Encoding{}
			return at, err
		}}
	}},
	"relies on another encoding": {"encodings", func() flaw {
		return flaw{put: func(s broken, ctx context.Context, key ingest.Key, p []byte) (address, error) {
			for object := range s.memory.List(ctx) {
				if object.Digest == key.Digest {
					return address{URI: "memory:" + object.Name, Bytes: int64(len(p)), Encoding: key.Encoding}, nil
				}
			}
			return s.Store.Put(ctx, key, p)
		}}
	}},
	"replaces the raw payload": {"encodings", func() flaw {
		return flaw{
			replace: func(s broken, ctx context.Context, digest digest, at address, p []byte) (address, error) {
				s.memory.Damage(digest, p)
				return at, ctx.Err()
			},
		}
	}},
	"deletes every encoding": {"encodings", func() flaw {
		return flaw{
			delete: func(s broken, ctx context.Context, objects []ingest.Object, confirm confirmed) ([]error, error) {
				failed, err := s.Store.Delete(ctx, objects, confirm)
				if err == nil {
					for _, object := range objects {
						s.memory.Damage(object.Digest, nil)
					}
				}
				return failed, err
			},
		}
	}},
	"keeps nothing": {"round_trip", func() flaw {
		return flaw{put: func(_ broken, _ context.Context, _ ingest.Key, p []byte) (address, error) {
			return address{URI: "x", Bytes: int64(len(p))}, nil
		}}
	}},
	"gives no size": {"round_trip", func() flaw {
		return flaw{put: func(s broken, ctx context.Context, key ingest.Key, p []byte) (address, error) {
			_, err := s.Store.Put(ctx, key, p)
			return address{URI: "x"}, err
		}}
	}},
	"reads from the start": {"ranges", func() flaw {
		return flaw{
			get: func(s broken, ctx context.Context, digest digest, at address, _ int64, into []byte) error {
				return s.Store.Get(ctx, digest, at, 0, into)
			},
		}
	}},
	"reads a short payload": {"ranges", func() flaw {
		return flaw{
			get: func(s broken, ctx context.Context, digest digest, at address, offset int64, into []byte) error {
				err := s.Store.Get(ctx, digest, at, offset, into)
				if _, ok := errors.AsType[*ingest.SizeError](err); ok {
					return nil
				}
				return err
			},
		}
	}},
	"changes the payload": {"buffers", func() flaw {
		return flaw{put: func(s broken, ctx context.Context, key ingest.Key, p []byte) (address, error) {
			at, err := s.Store.Put(ctx, key, p)
			clear(p)
			return at, err
		}}
	}},
	"keeps the caller's memory": {"buffers", func() flaw {
		var kept sync.Map // Put is called by several goroutines
		return flaw{put: func(s broken, ctx context.Context, key ingest.Key, p []byte) (address, error) {
			kept.Store(key.Digest, p)
			return s.Store.Put(ctx, key, p)
		}, get: func(_ broken, _ context.Context, digest digest, _ address, offset int64, into []byte) error {
			p, ok := kept.Load(digest)
			if !ok {
				return ingest.ErrNoPayload
			}
			if offset < 0 || offset+int64(len(into)) > int64(len(p.([]byte))) {
				return errors.New("it has fewer bytes")
			}
			copy(into, p.([]byte)[offset:])
			return nil
		}}
	}},
	"refuses a second Put": {"put_twice", func() flaw {
		return flaw{put: func(s broken, ctx context.Context, key ingest.Key, p []byte) (address, error) {
			before := s.memory.Counts().Written
			at, err := s.Store.Put(ctx, key, p)
			if s.memory.Counts().Written == before && err == nil {
				err = errors.New("it is there already")
			}
			return at, err
		}}
	}},
	"has one address for several files": {"positions", func() flaw {
		return flaw{put: func(s broken, ctx context.Context, key ingest.Key, p []byte) (address, error) {
			at, err := s.Store.Put(ctx, key, p)
			at.URI = fmt.Sprint(key.Digest, key.Model, key.Layer, key.Ordinal)
			return at, err
		}}
	}},
	"reports another error for a missing payload": {"missing", func() flaw {
		return flaw{
			get: func(s broken, ctx context.Context, digest digest, at address, offset int64, into []byte) error {
				err := s.Store.Get(ctx, digest, at, offset, into)
				if errors.Is(err, ingest.ErrNoPayload) {
					err = os.ErrNotExist
				}
				return err
			},
		}
	}},
	"reports a damaged payload as missing": {"replace", func() flaw {
		return flaw{
			get: func(s broken, ctx context.Context, digest digest, at address, offset int64, into []byte) error {
				err := s.Store.Get(ctx, digest, at, offset, into)
				if err != nil && ctx.Err() == nil {
					err = ingest.ErrNoPayload
				}
				return err
			},
		}
	}},
	"vouches for everything": {"stat", func() flaw {
		return flaw{
			stat: func(broken, context.Context, digest, address) (bool, error) { return true, nil },
		}
	}},
	"reports a missing payload as changed": {"stat", func() flaw {
		return flaw{stat: func(s broken, ctx context.Context, digest digest, at address) (bool, error) {
			_, err := s.Store.Stat(ctx, digest, at)
			if errors.Is(err, ingest.ErrNoPayload) {
				err = errors.New("it has changed")
			}
			return false, err
		}}
	}},
	"ignores a wrong size": {"stat", func() flaw {
		return flaw{stat: func(s broken, ctx context.Context, digest digest, at address) (bool, error) {
			_, err := s.Store.Stat(ctx, digest, at)
			if _, ok := errors.AsType[*ingest.SizeError](err); ok {
				err = nil
			}
			return false, err
		}}
	}},
	"vouches without a checksum": {"stat", func() flaw {
		return flaw{stat: func(s broken, ctx context.Context, digest digest, at address) (bool, error) {
			_, err := s.Store.Stat(ctx, digest, at)
			return err == nil, err
		}}
	}},
	"replaces nothing": {"replace", func() flaw {
		return flaw{
			replace: func(s broken, ctx context.Context, digest digest, _ address, p []byte) (address, error) {
				return s.Store.Put(ctx, ingest.Key{Digest: digest}, p)
			},
		}
	}},
	"puts after the cancellation": {"cancelled", func() flaw {
		return flaw{put: func(s broken, _ context.Context, key ingest.Key, p []byte) (address, error) {
			return s.Store.Put(context.Background(), key, p)
		}}
	}},
	"shows incomplete payloads": {"whole_payloads", func() flaw {
		return flaw{put: func(s broken, ctx context.Context, key ingest.Key, p []byte) (address, error) {
			s.memory.Damage(key.Digest, bytes.Clone(p[:len(p)/2]))
			time.Sleep(20 * time.Millisecond)
			return s.Store.Replace(ctx, key.Digest, address{}, p)
		}}
	}},
	"lacks the payload during Replace": {"whole_payloads", func() flaw {
		return flaw{
			replace: func(s broken, ctx context.Context, digest digest, _ address, p []byte) (address, error) {
				s.memory.Damage(digest, nil)
				time.Sleep(20 * time.Millisecond)
				return s.Store.Put(ctx, ingest.Key{Digest: digest}, p)
			},
		}
	}},
	"lists nothing": {"list", func() flaw {
		return flaw{list: func(broken, context.Context) iter.Seq2[ingest.Object, error] {
			return func(func(ingest.Object, error) bool) {}
		}}
	}},
	"fails to delete twice": {"delete", func() flaw {
		return flaw{
			delete: func(s broken, ctx context.Context, objects []ingest.Object, confirm confirmed) ([]error, error) {
				before := s.memory.Payloads()
				failed, err := s.Store.Delete(ctx, objects, confirm)
				for i := range failed {
					if err == nil && failed[i] == nil && s.memory.Payloads() == before {
						failed[i] = errors.New("it is gone already")
					}
				}
				return failed, err
			},
		}
	}},
	"deletes a payload that was rewritten": {"delete", func() flaw {
		return flaw{
			delete: func(s broken, ctx context.Context, objects []ingest.Object, confirm confirmed) ([]error, error) {
				now := map[string]ingest.Object{}
				for object := range s.memory.List(ctx) {
					now[object.Name] = object
				}
				for i, object := range objects {
					objects[i].Tag = now[object.Name].Tag
				}
				return s.Store.Delete(ctx, objects, confirm)
			},
		}
	}},
	"reads no hidden payload": {"delete", func() flaw {
		return flaw{
			get: func(s broken, ctx context.Context, digest digest, at address, offset int64, into []byte) error {
				if s.hidden(digest) {
					return ingest.ErrNoPayload
				}
				return s.Store.Get(ctx, digest, at, offset, into)
			},
		}
	}},
	"ignores a refusal": {"put_back", func() flaw {
		return flaw{
			delete: func(s broken, ctx context.Context, objects []ingest.Object, confirm confirmed) ([]error, error) {
				err := confirm(ctx)
				failed, _ := s.Store.Delete(ctx, objects, yes)
				return failed, err
			},
		}
	}},
	"restores nothing": {"put_back", func() flaw {
		return flaw{
			delete: func(s broken, ctx context.Context, objects []ingest.Object, confirm confirmed) ([]error, error) {
				var refused error
				steps := 0
				killed := s.memory.Handle(func() error {
					if steps++; steps > len(objects)+1 && refused != nil {
						return errors.New("killed")
					}
					return nil
				})
				failed, err := killed.Delete(ctx, objects, func(ctx context.Context) error {
					refused = confirm(ctx)
					return refused
				})
				if refused != nil {
					return make([]error, len(objects)), refused
				}
				return failed, err
			},
		}
	}},
	"relies on a hidden payload": {"pauses", func() flaw {
		return flaw{put: func(s broken, ctx context.Context, key ingest.Key, p []byte) (address, error) {
			if s.hidden(key.Digest) {
				return address{URI: "memory:" + key.Digest.String(), Bytes: int64(len(p))}, nil
			}
			return s.Store.Put(ctx, key, p)
		}}
	}},
	"reuses a hidden payload": {"pauses", func() flaw {
		return flaw{reuse: func(s broken, ctx context.Context, digest digest, at address) (address, bool, error) {
			if s.hidden(digest) {
				return at, true, nil
			}
			return s.Store.Reuse(ctx, digest, at)
		}}
	}},
	"confirms before it hides": {"pauses", func() flaw {
		return flaw{
			delete: func(s broken, ctx context.Context, objects []ingest.Object, confirm confirmed) ([]error, error) {
				if err := confirm(ctx); err != nil {
					return make([]error, len(objects)), err
				}
				return s.Store.Delete(ctx, objects, yes)
			},
		}
	}},
	"lists no hidden payload": {"kills", func() flaw {
		return flaw{list: func(s broken, ctx context.Context) iter.Seq2[ingest.Object, error] {
			return func(yield func(ingest.Object, error) bool) {
				for object, err := range s.Store.List(ctx) {
					if !object.Hidden && !yield(object, err) {
						return
					}
				}
			}
		}}
	}},
	"belongs to the last claim": {"owner", func() flaw {
		owner := ""
		return flaw{owner: func(_ broken, ctx context.Context, claim string) (string, error) {
			if claim != "" && ctx.Err() == nil {
				owner = claim
			}
			return owner, ctx.Err()
		}}
	}},
	"belongs to every claim": {"owner", func() flaw {
		return flaw{
			owner: func(_ broken, ctx context.Context, claim string) (string, error) { return claim, ctx.Err() },
		}
	}},
}

// placeOf creates stores with a flaw.
func placeOf(flawed func() flaw) func(*testing.T) storetest.Open {
	return func(*testing.T) storetest.Open {
		memory, flaw := &storetest.Memory{}, flawed()
		return func(_ *testing.T, step func() error) ingest.Store { return broken{memory.Handle(step), memory, flaw} }
	}
}

func TestBroken(t *testing.T) {
	name := os.Getenv(brokenStore)
	if name == "" {
		t.Skip(brokenStore + " is not set: TestSuiteNotices runs this test")
	}
	storetest.Run(t, placeOf(flaws[name].flaw))
}

// TestNotBroken runs the suite on the broken store without a flaw.
func TestNotBroken(t *testing.T) {
	storetest.Run(t, placeOf(func() flaw { return flaw{} }))
}

// runBroken runs a part of the suite on the store with the named flaw.
func runBroken(name, part string) (output string, err error) {
	suite := exec.Command(os.Args[0], "-test.run=^TestBroken$/^"+part+"$", "-test.v")
	suite.Env = append(os.Environ(), brokenStore+"="+name)
	out, err := suite.CombinedOutput()
	return string(out), err
}

// TestSuiteNotices checks that the suite fails for each flaw.
func TestSuiteNotices(t *testing.T) {
	for name, test := range flaws {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := runBroken(name, test.want)
			if err == nil || !strings.Contains(out, "--- FAIL: TestBroken/"+test.want) {
				t.Errorf("%s passed %s: %v\n%s", name, test.want, err, out)
			}
		})
	}
}
