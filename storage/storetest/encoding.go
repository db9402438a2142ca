package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// encodedAs returns the key of a payload that stands for the encoded bytes of digest.
func encodedAs(digest ingest.Digest, codec string, p []byte) ingest.Key {
	key := keyOf(digest)
	key.Encoding = ingest.Encoding{Codec: codec, Stored: ingest.Sum(p)}
	return key
}

// isByPosition reports whether the store names payloads by their position. Such a store takes no
// encoded payloads, and has nothing to reuse.
func isByPosition(t *testing.T, s ingest.Store) bool {
	t.Helper()
	if _, err := s.Owner(t.Context(), "catalogue"); err != nil {
		t.Fatal(err)
	}
	p := payload(100, 60)
	key := keyOf(ingest.Sum(p))
	first := putKey(t, s, key, p)
	key.Ordinal++
	return putKey(t, s, key, p).URI != first.URI
}

func wantReuse(t *testing.T, s ingest.Store, what string, digest ingest.Digest, address ingest.Address, want bool) {
	t.Helper()
	now, present, err := s.Reuse(t.Context(), digest, address)
	if err != nil || present != want || !present && now != (ingest.Address{}) || present && now != address {
		t.Errorf("Reuse of %s: %+v, %v, %v, want %v", what, now, present, err, want)
	}
}

// reuse checks Reuse for the address of a payload, and for addresses of other stores and payloads.
func reuse(t *testing.T, s ingest.Store) {
	byContent := !isByPosition(t, s)
	p := payload(5000, 61)
	digest, at := put(t, s, p)
	wantReuse(t, s, "what was put", digest, at, byContent)
	absent := ingest.Sum([]byte("absent"))
	for what, change := range map[string]func(a *ingest.Address){
		"no address":                  func(a *ingest.Address) { *a = ingest.Address{Bytes: a.Bytes} },
		"the URI of another store":    func(a *ingest.Address) { a.URI = "https://a.example/c/" + digest.String() },
		"another size":                func(a *ingest.Address) { a.Bytes++ },
		"an encoding under this name": func(a *ingest.Address) { a.Encoding = encodedAs(digest, "x", p[1:]).Encoding },
	} {
		other := at
		change(&other)
		wantReuse(t, s, what, digest, other, false)
	}
	wantReuse(t, s, "another payload", absent, at, false)
	removeAll(t, s)
	wantReuse(t, s, "what was deleted", digest, at, false)
	_, at = put(t, s, p)
	now, err := s.Replace(t.Context(), digest, at, p)
	if err != nil {
		t.Fatal(err)
	}
	if got, present, err := s.Reuse(t.Context(), digest, at); err != nil || byContent && (!present || got != now) {
		t.Errorf("Reuse of what was overwritten: %+v, %v, %v, want %+v", got, present, err, now)
	}
	if damager, ok := s.(Damager); ok {
		damager.DamageAt(digest, now, p[:100])
		wantReuse(t, s, "what has fewer bytes", digest, now, false)
	}
}

// encodings checks that payloads of one digest with different encodings are different payloads.
func encodings(t *testing.T, s ingest.Store) {
	raw := payload(10_000, 62)
	digest := ingest.Sum(raw)
	if isByPosition(t, s) {
		_, err := s.Put(t.Context(), encodedAs(digest, "x", raw[1:]), raw[1:])
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Put of an encoded payload by position: %v, want ErrUnsupported", err)
		}
		return
	}
	removeAll(t, s)
	x, y := payload(6000, 63), payload(len(raw), 64)
	v := &versions{Store: s, all: []*version{
		{key: keyOf(digest), payload: raw},
		{key: encodedAs(digest, "x", x), payload: x},
		{key: encodedAs(digest, "y", y), payload: y},
	}}
	v.putAll(t)
	for _, one := range v.all {
		v.damage(t, one)
		v.replace(t, one)
		v.delete(t, one)
	}
}

// versions is a store with all payloads of one digest.
type versions struct {
	ingest.Store
	all []*version
}

type version struct {
	key     ingest.Key
	payload []byte
	address ingest.Address
}

// putAll puts all payloads, twice.
func (v *versions) putAll(t *testing.T) {
	t.Helper()
	for _, one := range v.all {
		one.address = putKey(t, v, one.key, one.payload)
	}
	for _, one := range v.all {
		if again := putKey(t, v, one.key, one.payload); again != one.address {
			t.Errorf("Put twice: %+v and %+v", one.address, again)
		}
	}
	v.check(t)
}

// check checks that the store has these payloads, and nothing else.
func (v *versions) check(t *testing.T) {
	t.Helper()
	objects := map[string]ingest.Object{}
	for _, object := range objectsOf(t, v) {
		objects[lastElement(object.Name)] = object
	}
	if len(objects) != len(v.all) {
		t.Fatalf("List has %d names for %d payloads", len(objects), len(v.all))
	}
	for _, one := range v.all {
		digest, address := one.key.Digest, one.address
		wantPayload(t, v, digest, address, one.payload)
		if _, err := v.Stat(t.Context(), digest, address); err != nil {
			t.Errorf("Stat of %s: %v", address.URI, err)
		}
		if held, err := v.Holds(t.Context(), digest, address); !held || err != nil {
			t.Errorf("Holds of %s: %v, %v", address.URI, held, err)
		}
		wantReuse(t, v, address.URI, digest, address, true)
		// gc finds the object of a row without a name by the last element of its URI.
		object, ok := objects[lastElement(address.URI)]
		if !ok || object.Digest != digest || object.Bytes != address.Bytes || object.Hidden {
			t.Errorf("List has %+v for %s", object, address.URI)
		}
	}
}

// lastElement returns what follows the last slash or colon of a URI or name.
func lastElement(name string) string { return name[strings.LastIndexAny(name, "/:")+1:] }

// damage puts a payload that is damaged.
func (v *versions) damage(t *testing.T, one *version) {
	damager, ok := v.Store.(Damager)
	if !ok {
		return
	}
	damager.DamageAt(one.key.Digest, one.address, one.payload[1:])
	_, err := v.Stat(t.Context(), one.key.Digest, one.address)
	if _, ok := errors.AsType[*ingest.SizeError](err); !ok {
		t.Errorf("Stat of a payload that is too short: %v, want a SizeError", err)
	}
	wantReuse(t, v, "a payload that is too short", one.key.Digest, one.address, false)
	one.address = putKey(t, v, one.key, one.payload)
	v.check(t)
}

// replace replaces a payload that is present. Stat attests it as before.
func (v *versions) replace(t *testing.T, one *version) {
	digest, was := one.key.Digest, one.address
	attested, _ := v.Stat(t.Context(), digest, was)
	now, err := v.Replace(t.Context(), digest, was, one.payload)
	if err != nil || now.URI != was.URI || now.Encoding != was.Encoding {
		t.Fatalf("Replace at %+v: %+v, %v", was, now, err)
	}
	if v.refresh(t, one); one.address != now {
		t.Errorf("after Replace the address is %+v, want %+v", one.address, now)
	}
	if again, err := v.Stat(t.Context(), digest, now); again != attested || err != nil {
		t.Errorf("Stat of what was written again, at its address: %v, %v, want %v", again, err, attested)
	}
	other := now
	other.Encoding = ingest.Encoding{Codec: "z", Stored: ingest.Sum([]byte("z"))}
	if _, err := v.Stat(t.Context(), digest, other); err == nil {
		t.Error("Stat of another encoding succeeded")
	}
	v.check(t)
}

// refresh gets the present address of a payload from Stat, if it was written again.
func (v *versions) refresh(t *testing.T, one *version) {
	t.Helper()
	_, err := v.Stat(t.Context(), one.key.Digest, one.address)
	if rewritten, ok := errors.AsType[*ingest.RewrittenError](err); ok {
		one.address = rewritten.Now
	} else if err != nil {
		t.Errorf("Stat of %s: %v", one.address.URI, err)
	}
}

// delete hides all payloads and restores them. Then it hides all, puts one, and deletes the others;
// and then it deletes only this one.
func (v *versions) delete(t *testing.T, one *version) {
	refused := errors.New("refused")
	_, err := v.Delete(t.Context(), objectsOf(t, v), func(context.Context) error {
		for _, one := range v.all { // hidden objects can still be read
			wantPayload(t, v, one.key.Digest, one.address, one.payload)
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("Delete with a refusal: %v", err)
	}
	for _, one := range v.all {
		v.refresh(t, one)
	}
	v.check(t)
	v.remove(t, objectsOf(t, v), func(context.Context) error {
		one.address = putKey(t, v, one.key, one.payload)
		return nil
	})
	alone := &versions{v.Store, []*version{one}}
	alone.check(t)
	v.putAll(t)
	objects := objectsOf(t, v)
	v.remove(t, slices.DeleteFunc(objects, func(object ingest.Object) bool {
		return lastElement(object.Name) != lastElement(one.address.URI)
	}), confirmed)
	if _, err := get(t.Context(), v, one.key.Digest, one.address); !errors.Is(err, ingest.ErrNoPayload) {
		t.Errorf("Get of a deleted payload: %v, want ErrNoPayload", err)
	}
	wantReuse(t, v, "what was deleted", one.key.Digest, one.address, false)
	v.putAll(t)
}

// remove deletes objects. One that was put again after it was hidden may be reported.
func (v *versions) remove(t *testing.T, objects []ingest.Object, confirm func(context.Context) error) {
	t.Helper()
	failed, err := v.Delete(t.Context(), objects, confirm)
	for _, err := range append(failed, err) {
		if err != nil && !errors.Is(err, ingest.ErrModified) {
			t.Errorf("Delete: %v", err)
		}
	}
}
