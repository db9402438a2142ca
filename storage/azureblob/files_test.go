package azureblob

import (
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

func TestFiles(t *testing.T) {
	storetest.Files(t, func(t *testing.T) ingest.FileStore { return fresh(t, Settings{}) })
}

// TestPutFileBesideAnother checks that a blob of another program with the file's name does not
// change.
func TestPutFileBesideAnother(t *testing.T) {
	s := fresh(t, Settings{})
	if err := s.makeContainer(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{100, 9 << 20} {
		theirs, ours := randomBytes(size, 1), randomBytes(size, 2)
		name := "sha256-" + ingest.Sum(ours).String()
		client := s.container.NewBlockBlobClient(name)
		if _, err := client.UploadBuffer(t.Context(), theirs, nil); err != nil {
			t.Fatal(err)
		}
		address, err := s.PutFile(t.Context(), name, ingest.Sum(ours), strings.NewReader(string(ours)), int64(size))
		if err != nil || address.Name != name+"-"+ingest.Sum(ours).String() {
			t.Fatalf("stored at %s: %v", address.Name, err)
		}
		wantStored(t, s, address, ours)
		got := make([]byte, size)
		if _, err := client.DownloadBuffer(t.Context(), got, nil); err != nil || string(got) != string(theirs) {
			t.Errorf("the blob of the other program changed: %v", err)
		}
	}
}

func TestInContainer(t *testing.T) {
	for address, want := range map[string]string{
		"azblob://account":                                   "azblob://account/models",
		"azblob://account/":                                  "azblob://account/models",
		"azblob://account/tensors":                           "azblob://account/tensors",
		"https://account.blob.core.windows.net?sig=1":        "https://account.blob.core.windows.net/models?sig=1",
		"https://account.blob.core.windows.net/own?sig=1":    "https://account.blob.core.windows.net/own?sig=1",
		"http://127.0.0.1:10000/devstoreaccount1":            "http://127.0.0.1:10000/devstoreaccount1/models",
		"http://127.0.0.1:10000/devstoreaccount1/container1": "http://127.0.0.1:10000/devstoreaccount1/container1",
	} {
		if got, err := InContainer(address, "models"); err != nil || got != want {
			t.Errorf("%s is %s, want %s: %v", address, got, want, err)
		}
	}
	if _, err := InContainer("ftp://x", "models"); err == nil {
		t.Error("ftp://x is an address")
	}
}

func TestDescriptions(t *testing.T) {
	storetest.Descriptions(t, func(t *testing.T) ingest.DescriptionStore { return fresh(t, Settings{}) })
}
