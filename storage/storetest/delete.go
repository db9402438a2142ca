package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// confirmed is a confirm that lets Delete continue.
func confirmed(context.Context) error { return nil }

func objectsOf(t *testing.T, s ingest.Store) []ingest.Object {
	t.Helper()
	var all []ingest.Object
	for object, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		all = append(all, object)
	}
	return all
}

// removeAll deletes everything in the store.
func removeAll(t *testing.T, s ingest.Store) {
	t.Helper()
	objects := objectsOf(t, s)
	failed, err := s.Delete(t.Context(), objects, confirmed)
	if err != nil || len(failed) != len(objects) {
		t.Fatalf("Delete of %d objects: %d errors, %v", len(objects), len(failed), err)
	}
	for i, err := range failed {
		if err != nil && !isTransient(err) {
			t.Fatalf("Delete of %s: %v", objects[i].Name, err)
		}
	}
}

func list(t *testing.T, s ingest.Store) {
	if found := objectsOf(t, s); len(found) != 0 {
		t.Fatalf("List of an empty store: %v", found)
	}
	if _, err := s.Owner(t.Context(), "catalogue"); err != nil {
		t.Fatal(err)
	}
	stored := map[ingest.Digest][]byte{}
	for i := range 20 {
		p := payload(1000+i, uint64(1000+i))
		digest, _ := put(t, s, p)
		stored[digest] = p
	}
	found := objectsOf(t, s)
	if len(found) != len(stored) {
		t.Fatalf("List yielded %d objects, for %d payloads and an owner", len(found), len(stored))
	}
	for _, object := range found {
		p, ok := stored[object.Digest]
		if !ok || object.Bytes != int64(len(p)) || object.Name == "" || object.Modified.IsZero() || object.Hidden {
			t.Errorf("List yielded %+v", object)
		}
	}
	for range s.List(t.Context()) {
		break
	}
}

// deletes checks that Delete deletes the given objects after confirm has returned nil, and nothing else.
func deletes(t *testing.T, s ingest.Store) {
	p, q, kept := payload(5000, 31), payload(6000, 32), payload(7000, 33)
	digest, address := put(t, s, p)
	rewritten, now := put(t, s, q)
	keptDigest, keptAddress := put(t, s, kept)
	var objects []ingest.Object
	for _, object := range objectsOf(t, s) {
		if object.Digest != keptDigest {
			objects = append(objects, object)
		}
	}
	now, err := s.Replace(t.Context(), rewritten, now, q)
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"is there", "is gone"} {
		asked := 0
		failed, err := s.Delete(t.Context(), objects, func(context.Context) error {
			if asked++; state == "is there" {
				wantPayload(t, s, digest, address, p) // hidden objects can still be read
			}
			return nil
		})
		if err != nil || asked != 1 || len(failed) != len(objects) {
			t.Fatalf("Delete of what %s: %d errors, %v, %d calls of confirm", state, len(failed), err, asked)
		}
		for i, object := range objects {
			if wrong := failed[i]; (object.Digest == rewritten) != errors.Is(wrong, ingest.ErrModified) ||
				object.Digest == digest && wrong != nil {
				t.Errorf("Delete of what %s: %s: %v", state, object.Name, wrong)
			}
		}
		if _, err := get(t.Context(), s, digest, address); !errors.Is(err, ingest.ErrNoPayload) {
			t.Errorf("Get of a deleted payload: %v, want ErrNoPayload", err)
		}
		wantPayload(t, s, rewritten, now, q)
		wantPayload(t, s, keptDigest, keptAddress, kept)
	}
	if left := objectsOf(t, s); len(left) != 2 {
		t.Errorf("left are %+v", left)
	}
	failed, err := s.Delete(
		t.Context(),
		[]ingest.Object{{Name: "../x"}, {Name: "owner"}, {Digest: digest, Name: "owner", Hidden: true}},
		confirmed,
	)
	if err != nil || len(failed) != 3 {
		t.Fatalf("%v, %v", failed, err)
	}
	_, address = put(t, s, p)
	wantPayload(t, s, digest, address, p)
}

// putBack checks that Delete restores everything if confirm returns an error, and that Put does not
// rely on a hidden payload.
func putBack(t *testing.T, s ingest.Store) {
	refused := errors.New("refused")
	p, q := payload(100_000, 34), payload(500, 35)
	digest, address := put(t, s, p)
	other, otherAddress := put(t, s, q)
	objects := objectsOf(t, s)
	for range 2 {
		failed, err := s.Delete(t.Context(), objects, func(context.Context) error { return refused })
		if !errors.Is(err, refused) || len(failed) != 2 || failed[0] != nil || failed[1] != nil {
			t.Fatalf("Delete with a refusal: %v, %v", failed, err)
		}
		wantPayload(t, s, digest, address, p)
		wantPayload(t, s, other, otherAddress, q)
		if objects = objectsOf(t, s); len(objects) != 2 || objects[0].Hidden || objects[1].Hidden {
			t.Fatalf("after a refusal the store holds %+v", objects)
		}
	}
	var again ingest.Address
	failed, err := s.Delete(t.Context(), objects, func(context.Context) error {
		_, again = put(t, s, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, object := range objects {
		if err := failed[i]; err != nil && !(object.Digest == digest && errors.Is(err, ingest.ErrModified)) {
			t.Errorf("Delete of %s: %v", object.Name, err)
		}
	}
	wantPayload(t, s, digest, again, p)
	if left := objectsOf(t, s); len(left) != 1 || left[0].Digest != digest || left[0].Hidden {
		t.Errorf("left are %+v", left)
	}
}

// owner checks that the first catalogue that claims a store owns it, and that reading the owner
// claims nothing.
func owner(t *testing.T, place func(*testing.T) Open) {
	for _, identity := range []string{
		"0f8fad5b-d9cb-469f-a165-70867728950e", "UPPER", "a/b\\c:d*e", "..", "100%25", "ü \n\x00",
	} {
		open := place(t)
		for range 2 {
			if got, err := open(t, nil).Owner(t.Context(), ""); err != nil || got != "" {
				t.Fatalf("the owner of a new store is %q, %v", got, err)
			}
		}
		for _, claim := range []string{identity, identity, "another", ""} {
			if got, err := open(t, nil).Owner(t.Context(), claim); err != nil || got != identity {
				t.Fatalf("Owner, claimed by %q, is %q, %v, want %q", claim, got, err, identity)
			}
		}
		s := open(t, nil)
		if found := objectsOf(t, s); len(found) != 0 {
			t.Errorf("List yields the owner as a payload: %v", found)
		}
	}
	open := place(t)
	const claims = 8
	owners := make(chan string, claims)
	for i := range claims {
		s := open(t, nil)
		go func() {
			got, err := s.Owner(t.Context(), string(rune('a'+i)))
			if err != nil {
				got = err.Error()
			}
			owners <- got
		}()
	}
	first := <-owners
	for range claims - 1 {
		if next := <-owners; next != first {
			t.Errorf("of several simultaneous claims, one returned %q and another %q", first, next)
		}
	}
	// A claim may be killed at each of its steps.
	everyStep(t, func(t *testing.T, step func() error) {
		open := place(t)
		killed, err := open(t, step).Owner(t.Context(), "killed")
		if err == nil && killed != "killed" {
			t.Errorf("claimed, and the owner is %q", killed)
		}
		later, err := open(t, nil).Owner(t.Context(), "later")
		if err != nil || later != "later" && later != "killed" || killed != "" && later != killed {
			t.Errorf("after a claim that was killed and returned %q, the owner is %q, %v", killed, later, err)
		}
	})
}
