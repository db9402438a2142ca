package azureblob

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestPositions checks names and metadata, and writes to a name that is taken.
func TestPositions(t *testing.T) {
	clearEnvironment(t)
	address := azurite(t) + "/" + newContainer()
	s := openStore(t, address, Settings{Layout: ByPosition})
	if _, err := s.Owner(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	p := randomBytes(100_000, 4)
	at := ingest.Key{Model: 7, File: 3, Layer: 12, Ordinal: 2, Type: "Q4_K"}
	a, err := s.Put(t.Context(), with(at, ingest.Sum(p)), p)
	if err != nil || a.Name != "7/12/2.bin" || a.URI != address+"/7/12/2.bin" {
		t.Fatalf("%+v, %v", a, err)
	}
	wantMetadata(t, s, a, map[string]string{"ModelId": "7", "LayerId": "12", "SegmentOrdinal": "2",
		"QuantizationType": "Q4_K", "Sha256": ingest.Sum(p).String()})
	wantStored(t, s, a, p)
	b, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p), Model: 7, File: 3, Ordinal: 2}, p)
	if err != nil || b.Name != "7/files/3/2.bin" {
		t.Errorf("%+v, %v", b, err)
	}
	// The same row with another payload, as after an interrupted run; a repair; a row whose blob
	// was deleted.
	q := randomBytes(90_000, 5)
	if a, err = s.Put(t.Context(), with(at, ingest.Sum(q)), q); err != nil || a.Name != "7/12/2.bin" {
		t.Fatal(err)
	}
	wantStored(t, s, a, q)
	if _, err = s.Replace(t.Context(), ingest.Sum(p), a, p); err != nil {
		t.Fatal(err)
	}
	wantMetadata(t, s, a, map[string]string{"ModelId": "7", "LayerId": "12", "SegmentOrdinal": "2",
		"QuantizationType": "Q4_K", "Catalog": "first", "Sha256": ingest.Sum(p).String()})
	if _, err := s.container.NewBlobClient(a.Name).Delete(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if a, err = s.Replace(t.Context(), ingest.Sum(p), a, p); err != nil {
		t.Fatal(err)
	}
	wantMetadata(t, s, a, map[string]string{"ModelId": "7", "LayerId": "12", "SegmentOrdinal": "2"})
	wantStored(t, s, a, p)
	listed := 0
	for object, err := range s.List(t.Context()) {
		if err != nil || object.Digest != ingest.Sum(p) {
			t.Errorf("%+v, %v", object, err)
		}
		listed++
	}
	if listed != 2 {
		t.Errorf("%d objects", listed)
	}
}

func with(key ingest.Key, digest ingest.Digest) ingest.Key {
	key.Digest = digest
	return key
}

func wantMetadata(t *testing.T, s *Store, a ingest.Address, want map[string]string) {
	t.Helper()
	for item, err := range s.list(t.Context(), a.Name, true) {
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range want {
			if got := metadata(item.Metadata).get(name); got != value {
				t.Errorf("metadata %s of %s is %q, want %s", name, a.Name, got, value)
			}
		}
	}
}

// TestMetadataSpelling reads the raw request, since Azurite and net/http change the case of names.
func TestMetadataSpelling(t *testing.T) {
	clearEnvironment(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	head := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buffer := make([]byte, 16<<10)
		n, _ := conn.Read(buffer)
		head <- string(buffer[:n])
		_, _ = io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
	}()
	s := openStore(t, "http://"+listener.Addr().String()+"/devstoreaccount1/wire", Settings{Layout: ByPosition})
	key := ingest.Key{Digest: ingest.Sum(nil), Model: 7, Layer: 12, Ordinal: 2, Type: "Q4_K"}
	if _, err := s.Put(t.Context(), key, nil); err != nil {
		t.Fatal(err)
	}
	sent := <-head
	for _, line := range []string{
		"x-ms-meta-ModelId: 7", "x-ms-meta-LayerId: 12", "x-ms-meta-SegmentOrdinal: 2",
		"x-ms-meta-QuantizationType: Q4_K", "x-ms-meta-Sha256: " + ingest.Sum(nil).String(),
	} {
		if !strings.Contains(sent, "\r\n"+line+"\r\n") {
			t.Errorf("%q is not in\n%s", line, sent)
		}
	}
}

// A catalogue neither overwrites nor relies on another catalogue's blobs: both count from 1.
func TestPositionsOfTwoCatalogues(t *testing.T) {
	clearEnvironment(t)
	address := azurite(t) + "/" + newContainer()
	p, q := randomBytes(100, 6), randomBytes(200, 7)
	at := ingest.Key{Model: 1, File: 1, Layer: 1}
	for i, catalog := range []string{"first", "second catalogue"} {
		s := openStore(t, address, Settings{Layout: ByPosition})
		if _, err := s.Owner(t.Context(), catalog); err != nil {
			t.Fatal(err)
		}
		for _, payload := range [][]byte{p, q} {
			_, err := s.Put(t.Context(), with(at, ingest.Sum(payload)), payload)
			if (err == nil) != (i == 0) || i == 1 && !strings.Contains(err.Error(), "catalogue first") {
				t.Errorf("%s: %v", catalog, err)
			}
		}
	}
}

// Replace repairs a blob by position that another program has overwritten, including its metadata.
func TestReplaceAfterAnotherProgram(t *testing.T) {
	clearEnvironment(t)
	s := openStore(t, azurite(t)+"/"+newContainer(), Settings{Layout: ByPosition})
	if _, err := s.Owner(t.Context(), "ours"); err != nil {
		t.Fatal(err)
	}
	p := randomBytes(100, 8)
	address, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p), Model: 1, File: 1, Layer: 1}, p)
	if err != nil {
		t.Fatal(err)
	}
	other := []byte("another program's")
	if _, err := s.container.NewBlockBlobClient(address.Name).UploadBuffer(t.Context(), other, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is ours again
		if _, err := s.Replace(t.Context(), ingest.Sum(p), address, p); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := get(t, s, ingest.Sum(p), address); err != nil || string(got) != string(p) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	there, err := s.head(t.Context(), address.Name)
	if err != nil || there.metadata.get(metaCatalog) != s.ownedBy() || there.metadata.get(metaLayer) != "1" {
		t.Errorf("its metadata is %v, %v", there.metadata, err)
	}
}
