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

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"github.com/hartonomous/ingest/ingest"
)

// TestAddress checks each field of an address, and that another client can read the blob.
func TestAddress(t *testing.T) {
	s := fresh(t, Settings{Tier: "cool"})
	p := randomBytes(100_000, 1)
	digest := ingest.Sum(p)
	for round := range 2 { // the second time it is present
		a, err := s.Put(t.Context(), ingest.Key{Digest: digest}, p)
		if err != nil {
			t.Fatal(err)
		}
		name := "sha256/" + digest.String()[:2] + "/" + digest.String()
		if a.URI != s.String()+"/"+name || a.Name != name || a.Container != s.containerName() || a.Bytes != 100_000 ||
			a.ETag == "" || strings.Contains(a.ETag, `"`) || time.Since(a.Modified).Abs() > time.Minute ||
			a.Modified.Location() != time.UTC {
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

// TestEncoded checks the name and metadata of an encoded payload.
func TestEncoded(t *testing.T) {
	s := fresh(t, Settings{})
	p, digest := randomBytes(1000, 12), ingest.Sum([]byte("original"))
	encoding := ingest.Encoding{Codec: "x", Stored: ingest.Sum(p)}
	a, err := s.Put(t.Context(), ingest.Key{Digest: digest, Encoding: encoding}, p)
	name := payloadName(digest) + "-" + encoding.Stored.String()
	if err != nil || a.Name != name || a.URI != s.String()+"/"+name || a.Bytes != 1000 || a.Encoding != encoding {
		t.Fatalf("%+v, %v", a, err)
	}
	there, err := s.head(t.Context(), name)
	if err != nil || there.digest() != encoding.Stored {
		t.Errorf("metadata %v, %v", there.metadata, err)
	}
	if attested, err := s.Stat(t.Context(), digest, a); !attested || err != nil {
		t.Errorf("Stat: %v, %v", attested, err)
	}
	without := a
	without.Name, without.ETag = "", ""
	if got, err := get(t, s, digest, without); err != nil || !bytes.Equal(got, p) {
		t.Errorf("Get for a row without a name: %d bytes, %v", len(got), err)
	}
	if now, present, err := s.Reuse(t.Context(), digest, without); !present || err != nil || now != a {
		t.Errorf("Reuse for a row without a name: %+v, %v, %v", now, present, err)
	}
	without.URI = "dir:" + name
	if now, present, err := s.Reuse(t.Context(), digest, without); present || err != nil {
		t.Errorf("Reuse for a row of a folder: %+v, %v, %v", now, present, err)
	}
	for _, other := range []string{"1/2/3.bin", "1/files/2/3.bin", "model.gguf"} {
		at := a
		at.Name = other
		if _, err := s.Replace(t.Context(), digest, at, p); !errors.Is(err, errNoName) {
			t.Errorf("Replace of an encoded payload at %s: %v", other, err)
		}
	}
}

// plainClient is the SDK's client, as another program uses it.
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

// Only Put and a claim create the container, and it is private.
func TestReadingCreatesNothing(t *testing.T) {
	s := fresh(t, Settings{})
	exists := func() bool {
		_, err := s.container.GetProperties(t.Context(), nil)
		return err == nil
	}
	digest := ingest.Sum(nil)
	// A missing container says nothing about a payload: its name may be wrong.
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
		t.Fatal("reading created the container")
	}
	var group sync.WaitGroup
	for i := range 8 { // all of them find no container
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
		t.Errorf("a blob can be read without a credential: %v", err)
	}
}

// No request that creates a container makes it public.
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
			t.Fatalf("call %d created no container", i)
		}
		if properties, err := s.container.GetProperties(t.Context(), nil); err != nil ||
			properties.BlobPublicAccess != nil {
			t.Errorf("call %d: public access %v, %v", i, properties.BlobPublicAccess, err)
		}
	}
	if access.Load() != 0 {
		t.Errorf("%d of %d requests for a container set its access", access.Load(), made.Load())
	}
}

// plainUpload is an upload by another program under a digest.
func plainUpload(digest ingest.Digest, p []byte, m metadata) *upload {
	u := newUpload(payloadName(digest), digest, p, metadata{})
	u.metadata = m
	return u
}

// Put overwrites a blob whose size or metadata do not match its digest.
func TestPutOverwritesWrongBlobs(t *testing.T) {
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

// TestStat damages blobs in every way that Stat can detect.
func TestStat(t *testing.T) {
	s := fresh(t, Settings{})
	p := randomBytes(5000, 2)
	digest := ingest.Sum(p)
	a, err := s.Put(t.Context(), ingest.Key{Digest: digest}, p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), digest, a); err != nil {
		t.Errorf("an intact blob: %v", err)
	}
	without := a
	without.ETag, without.Name = "", ""
	if _, err := s.Stat(t.Context(), digest, without); err != nil {
		t.Errorf("a row with only digest and size: %v", err)
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
		t.Errorf("overwritten: %v", err)
	} else if _, err := s.Stat(t.Context(), digest, again.Now); err != nil {
		t.Errorf("at its new address: %v", err)
	}
	for want, u := range map[string]*upload{
		"another program": plainUpload(digest, p, metadata{}),
		"says SHA-256":    newUpload(payloadName(digest), ingest.Sum(nil), p, metadata{}),
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
		t.Error("a checksum of the service that differs from ours is ignored")
	}
}

// Get refuses a blob of another size.
func TestGetChecksSizes(t *testing.T) {
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
	for _, name := range []string{
		"../x", "sha256/ab/cd", "owner", "1/2/3", "01/2/3.bin", "1/0/3.bin", payloadName(ingest.Sum(p)) + "/",
		payloadName(ingest.Sum(p)) + "-" + ingest.Sum(p).String(), payloadName(ingest.Sum(p)) + "-",
	} {
		if _, err := get(t, s, ingest.Sum(p), ingest.Address{Name: name}); !errors.Is(err, errNoName) {
			t.Errorf("a row with the name %s: %v", name, err)
		}
	}
}

func wantStored(t *testing.T, s *Store, address ingest.Address, content []byte) {
	t.Helper()
	digest := ingest.Sum(content)
	got, err := get(t, s, digest, address)
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("Get: %d bytes, %v", len(got), err)
	}
	if _, err := s.Stat(t.Context(), digest, address); err != nil {
		t.Errorf("Stat: %v", err)
	}
}

// Uncommitted blocks of another program do not prevent Put.
func TestPutAmongForeignBlocks(t *testing.T) {
	s := fresh(t, Settings{})
	p := randomBytes(100_000, 11)
	digest := ingest.Sum(p)
	if err := s.makeContainer(t.Context()); err != nil {
		t.Fatal(err)
	}
	foreign := s.container.NewBlockBlobClient(payloadName(digest))
	block := streaming.NopCloser(strings.NewReader("foreign"))
	if _, err := foreign.StageBlock(t.Context(), "QUJD", block, nil); err != nil {
		t.Fatal(err)
	}
	address, err := s.Put(t.Context(), ingest.Key{Digest: digest}, p)
	if err != nil {
		t.Fatal(err)
	}
	wantStored(t, s, address, p)
}
