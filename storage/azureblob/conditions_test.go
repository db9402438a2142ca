package azureblob

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"github.com/hartonomous/ingest/ingest"
)

// TestAddress checks each field of an address, and that any other client reads the same bytes from
// it.
func TestAddress(t *testing.T) {
	s := fresh(t, Settings{Tier: "cool"})
	p := randomBytes(100_000, 1)
	digest := ingest.Sum(p)
	for round := range 2 { // the second time it is there already
		a, err := s.Put(t.Context(), ingest.Key{Digest: digest}, p)
		if err != nil {
			t.Fatal(err)
		}
		name := "sha256/" + digest.String()[:2] + "/" + digest.String()
		if a.URI != s.String()+"/"+name || a.Name != name || a.Container != s.containerName() || a.Bytes != 100_000 ||
			a.ETag == "" || strings.Contains(a.ETag, `"`) || time.Since(a.Modified).Abs() > time.Minute || a.Modified.Location() != time.UTC {
			t.Errorf("round %d: %+v", round, a)
		}
	}
	other := plainClient(t)
	answer, err := other.DownloadStream(t.Context(), s.containerName(), payloadName(digest), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(answer.Body)
	if err != nil || !bytes.Equal(got, p) || *answer.ContentType != "application/octet-stream" {
		t.Errorf("another client reads %d bytes of %s, %v", len(got), *answer.ContentType, err)
	}
	if m := metadata(answer.Metadata); m.get("sha256") != digest.String() || m.get("Crc64") == "" {
		t.Errorf("metadata %v", m)
	}
	properties, err := s.container.NewBlobClient(payloadName(digest)).GetProperties(t.Context(), nil)
	if err != nil || *properties.AccessTier != "Cool" {
		t.Errorf("tier %v, %v", properties.AccessTier, err)
	}
}

// plainClient is the SDK's client as any program has it.
func plainClient(t *testing.T) *azblob.Client {
	t.Helper()
	key, err := azblob.NewSharedKeyCredential(emulatorAccount, emulatorKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := azblob.NewClientWithSharedKeyCredential(azurite(t), key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLookCreatesNothing checks that only Put and a claim make the container, and that it is
// private.
func TestLookCreatesNothing(t *testing.T) {
	s := fresh(t, Settings{})
	exists := func() bool {
		_, err := s.container.GetProperties(t.Context(), nil)
		return err == nil
	}
	digest := ingest.Sum(nil)
	// That there is no container says nothing of a payload: it may be the wrong name.
	for verb, look := range map[string]func() error{
		"Get":  func() error { _, err := get(t, s, digest, ingest.Address{}); return err },
		"Stat": func() error { _, err := s.Stat(t.Context(), digest, ingest.Address{}); return err },
	} {
		if err := look(); !errors.Is(err, ingest.ErrUnreachable) || errors.Is(err, ingest.ErrNoPayload) {
			t.Errorf("%s without a container: %v", verb, err)
		}
	}
	for _, err := range s.List(t.Context()) {
		t.Errorf("List: %v", err)
	}
	if owner, err := s.Owner(t.Context(), ""); err != nil || owner != "" {
		t.Errorf("the owner is %q, %v", owner, err)
	}
	if exists() {
		t.Fatal("a look made the container")
	}
	var group sync.WaitGroup
	for i := range 8 { // all of them find that there is no container
		group.Go(func() {
			p := randomBytes(1000, uint64(i))
			if _, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p)}, p); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if properties, err := s.container.GetProperties(t.Context(), nil); err != nil ||
		properties.BlobPublicAccess != nil {
		t.Errorf("public access %v, %v", properties.BlobPublicAccess, err)
	}
	nobody, err := http.Get(s.urlOf(payloadName(ingest.Sum(randomBytes(1000, 0)))))
	if err != nil || nobody.StatusCode < 400 {
		t.Errorf("somebody without a credential reads a blob: %v", err)
	}
}

// TestNeverPublic looks at every request that makes a container, or that could change who reads it.
func TestNeverPublic(t *testing.T) {
	var made, access atomic.Int64
	p := newProxy(t, func(r *http.Request) deed {
		if r.URL.Query().Get("restype") == "container" && r.Method == http.MethodPut {
			made.Add(1)
			if r.Header.Get("x-ms-blob-public-access") != "" || r.URL.Query().Get("comp") != "" {
				access.Add(1)
			}
		}
		return nil
	})
	clearEnvironment(t)
	for i, fill := range []func(s *Store) error{
		func(s *Store) error {
			_, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(nil)}, nil)
			return err
		},
		func(s *Store) error { _, err := s.Owner(t.Context(), "catalog"); return err },
		func(s *Store) error {
			content := randomBytes(9, 1)
			_, err := s.PutFile(t.Context(), "", ingest.Sum(content), bytes.NewReader(content), 9)
			return err
		},
	} {
		s := openStore(t, throughHost(t, p.host)+"/"+newContainer(), Settings{BlockBytes: 4})
		if err := fill(s); err != nil {
			t.Fatal(err)
		}
		if made.Load() < int64(i+1) {
			t.Fatalf("way %d was seen to make no container", i)
		}
		if properties, err := s.container.GetProperties(t.Context(), nil); err != nil ||
			properties.BlobPublicAccess != nil {
			t.Errorf("way %d: public access %v, %v", i, properties.BlobPublicAccess, err)
		}
	}
	if access.Load() != 0 {
		t.Errorf("%d of %d requests for a container say who may read it", access.Load(), made.Load())
	}
}

// plainUpload is what another program puts under a digest.
func plainUpload(digest ingest.Digest, p []byte, m metadata) *upload {
	u := newUpload(payloadName(digest), digest, p, metadata{})
	u.metadata = m
	return u
}

// TestPutMendsWhatSaysThatItIsWrong checks that what lies under a digest and does not fit it is
// written over by Put.
func TestPutMendsWhatSaysThatItIsWrong(t *testing.T) {
	s := fresh(t, Settings{})
	for i, size := range []int{1000, 100_000} {
		p := randomBytes(size, uint64(i))
		digest := ingest.Sum(p)
		for name, wrong := range map[string]*upload{
			"size":         newUpload(payloadName(digest), digest, p[1:], metadata{}),
			"digest":       newUpload(payloadName(digest), ingest.Sum([]byte("other")), p, metadata{}),
			"empty":        newUpload(payloadName(digest), digest, nil, metadata{}),
			"no digest":    plainUpload(digest, p, metadata{}),
			"not a digest": plainUpload(digest, p, metadata{}.with(metaDigest, "DEADBEEF")),
		} {
			if _, err := s.send(t.Context(), wrong, nil); err != nil {
				t.Fatal(err)
			}
			before, err := s.head(t.Context(), payloadName(digest))
			if err != nil {
				t.Fatal(err)
			}
			a, err := s.Put(t.Context(), ingest.Key{Digest: digest}, p)
			if err != nil {
				t.Fatalf("wrong %s: %v", name, err)
			}
			wantStored(t, s, a, p)
			again, err := s.Put(t.Context(), ingest.Key{Digest: digest}, p)
			if err != nil || again.ETag != a.ETag || a.ETag == before.ETag {
				t.Errorf("wrong %s: ETag %s before, then %s and %s, %v", name, before.ETag, a.ETag, again.ETag, err)
			}
		}
	}
}

// TestStat damages blobs in every way that can be told without a download.
func TestStat(t *testing.T) {
	s := fresh(t, Settings{})
	p := randomBytes(5000, 2)
	digest := ingest.Sum(p)
	a, err := s.Put(t.Context(), ingest.Key{Digest: digest}, p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), digest, a); err != nil {
		t.Errorf("a sound blob: %v", err)
	}
	without := a
	without.ETag, without.Name = "", ""
	if _, err := s.Stat(t.Context(), digest, without); err != nil {
		t.Errorf("a row that knows digest and size: %v", err)
	}
	var size *ingest.SizeError
	shorter := a
	shorter.Bytes--
	if _, err := s.Stat(t.Context(), digest, shorter); !errors.As(err, &size) || size.Got != 5000 {
		t.Errorf("another size: %v", err)
	}
	var changed *ChangedError
	if _, err := s.Replace(t.Context(), digest, ingest.Address{}, p); err != nil {
		t.Fatal(err)
	}
	var again *ingest.RewrittenError
	if _, err := s.Stat(t.Context(), digest, a); !errors.As(err, &again) || again.Was != a.ETag ||
		again.Now.ETag == a.ETag ||
		again.Now.Name != a.Name {
		t.Errorf("written again: %v", err)
	} else if _, err := s.Stat(t.Context(), digest, again.Now); err != nil {
		t.Errorf("where it is said to lie now: %v", err)
	}
	for want, u := range map[string]*upload{
		"another program": plainUpload(digest, p, metadata{}),
		"says that it":    newUpload(payloadName(digest), ingest.Sum(nil), p, metadata{}),
	} {
		if _, err := s.send(t.Context(), u, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Stat(t.Context(), digest, a); !errors.As(err, &changed) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	there := &present{metadata: metadata{}.with(metaCRC, "AAAA"), crc: "BBBB"}
	if there.crcAgrees() {
		t.Error("a checksum of the service that differs from ours is not seen")
	}
}

// TestGetKnowsSizes checks that neither a longer nor a shorter blob is returned.
func TestGetKnowsSizes(t *testing.T) {
	s := fresh(t, Settings{})
	p := randomBytes(5000, 3)
	a, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p)}, p)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{0, 4999, 5001} {
		a.Bytes = want
		var size *ingest.SizeError
		if got, err := get(t, s, ingest.Sum(p), a); !errors.As(err, &size) || size.Got != 5000 || size.Want != want {
			t.Errorf("a row of %d bytes: %d bytes, %v", want, len(got), err)
		}
	}
	for _, name := range []string{"../x", "sha256/ab/cd", "owner", "1/2/3", "01/2/3.bin", "1/0/3.bin", payloadName(ingest.Sum(p)) + "/"} {
		if _, err := get(t, s, ingest.Sum(p), ingest.Address{Name: name}); !errors.Is(err, errNoName) {
			t.Errorf("a row with the name %s: %v", name, err)
		}
	}
}
