package azureblob

import (
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// azurite returns the address of the emulator's account. A test that needs it is skipped aloud without one.
func azurite(t testing.TB) string {
	t.Helper()
	address := strings.TrimRight(os.Getenv("INGEST_TEST_AZURITE"), "/")
	switch {
	case address != "":
		return address
	case os.Getenv("CI") == "true":
		t.Fatal("INGEST_TEST_AZURITE is not set: scripts/azurite start --memory prints it")
	default:
		t.Skip("INGEST_TEST_AZURITE is not set: scripts/azurite start --memory prints it")
	}
	return ""
}

// newContainer names a container that does not exist yet.
func newContainer() string { return "t-" + strings.ToLower(rand.Text()) }

// clearEnvironment hides the credentials of whoever runs the tests.
func clearEnvironment(t *testing.T) {
	for _, name := range []string{envAccount, envKey, envSAS, envConnection, envAuthMode, "AZURE_CLIENT_SECRET", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"} {
		t.Setenv(name, "")
	}
}

func openStore(t *testing.T, address string, settings Settings) ingest.Store {
	t.Helper()
	s, err := Open(t.Context(), address, settings)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fresh returns a store in a container of its own.
func fresh(t *testing.T, settings Settings) *Store {
	t.Helper()
	clearEnvironment(t)
	return contentOf(openStore(t, azurite(t)+"/"+newContainer(), settings))
}

func contentOf(s ingest.Store) *Store {
	if p, ok := s.(*PositionStore); ok {
		return p.Store
	}
	return s.(*Store)
}

// throughHost returns the address of the same account with another host: that of a proxy.
func throughHost(t *testing.T, host string) string {
	t.Helper()
	u, err := url.Parse(azurite(t))
	if err != nil {
		t.Fatal(err)
	}
	u.Host = host
	return u.String()
}

func TestContract(t *testing.T) {
	azurite(t)
	for _, layout := range []Layout{ByContent, ByPosition} {
		t.Run(string(layout), func(t *testing.T) {
			clearEnvironment(t)
			storetest.Run(t, func(t *testing.T) ingest.Store {
				s := openStore(t, azurite(t)+"/"+newContainer(), Settings{Layout: layout, BlockBytes: 1 << 20})
				if p, ok := s.(*PositionStore); ok {
					return struct {
						*PositionStore
						damager
					}{p, damager{t, p.Store}}
				}
				return struct {
					*Store
					damager
				}{s.(*Store), damager{t, s.(*Store)}}
			})
		})
	}
}

// damager damages blobs as another program would, beside the store.
type damager struct {
	t *testing.T
	s *Store
}

func (d damager) Damage(digest ingest.Digest, p []byte) {
	d.t.Helper()
	if _, err := plainClient(d.t).UploadBuffer(d.t.Context(), d.s.containerName(), payloadName(digest), p, nil); err != nil {
		d.t.Fatal(err)
	}
}

// sasAddress returns the container's address with a SAS for these rights.
func sasAddress(t *testing.T, c *azblob.Client, name, rights string) string {
	t.Helper()
	key, err := azblob.NewSharedKeyCredential(emulatorAccount, emulatorKey)
	if err != nil {
		t.Fatal(err)
	}
	query, err := sas.BlobSignatureValues{
		Protocol: sas.ProtocolHTTPSandHTTP, ExpiryTime: time.Now().Add(time.Hour), ContainerName: name, Permissions: rights,
	}.SignWithSharedKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return c.URL() + "/" + name + "?" + query.Encode()
}
