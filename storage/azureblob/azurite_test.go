package azureblob

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/storetest"
)

// azurite returns the address of the emulator's account. Without one, it skips the test.
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

// newContainer returns the name of a new container.
func newContainer() string { return "t-" + strings.ToLower(rand.Text()) }

// clearEnvironment hides the user's credentials.
func clearEnvironment(t *testing.T) {
	for _, name := range []string{
		envAccount, envKey, envSAS, envConnection, envAuthMode, "AZURE_CLIENT_SECRET",
		"HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy",
	} {
		t.Setenv(name, "")
	}
}

// openStore opens a store that does not retry, unless the settings say so.
func openStore(t *testing.T, address string, settings Settings) *Store {
	t.Helper()
	return openWith(t, address, settings, seams{})
}

func openWith(t *testing.T, address string, settings Settings, seams seams) *Store {
	t.Helper()
	if settings.Policy == (storage.Policy{}) {
		settings.Policy.Attempts = 1
	}
	s, err := open(t.Context(), address, settings, seams)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fresh returns a store in its own container.
func fresh(t *testing.T, settings Settings) *Store {
	t.Helper()
	clearEnvironment(t)
	return openStore(t, azurite(t)+"/"+newContainer(), settings)
}

func get(t *testing.T, s *Store, digest ingest.Digest, address ingest.Address) ([]byte, error) {
	into := make([]byte, max(0, address.Bytes))
	return into, s.Get(t.Context(), digest, address, 0, into)
}

// objects lists the store.
func objects(t *testing.T, s *Store) (all []ingest.Object) {
	t.Helper()
	for object, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, object)
	}
	return all
}

// remove deletes one object and returns its error.
func remove(t *testing.T, s *Store, object ingest.Object) error {
	t.Helper()
	failed, err := s.Delete(t.Context(), []ingest.Object{object}, func(context.Context) error { return nil })
	if err != nil || len(failed) != 1 {
		t.Fatalf("%v, %v", failed, err)
	}
	return failed[0]
}

// throughHost returns the account's address with another host: that of a proxy.
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
			storetest.Run(t, func(t *testing.T) storetest.Open {
				address := azurite(t) + "/" + newContainer()
				return func(t *testing.T, step func() error) ingest.Store {
					return damaged{openWith(t, address, Settings{Layout: layout}, stepping(step)), t}
				}
			})
		})
	}
}

// stepping calls step before and after each request. A request fails if step returns an error.
func stepping(step func() error) seams {
	if step == nil {
		return seams{}
	}
	return seams{rounds: func(next http.RoundTripper) http.RoundTripper {
		return rounds(func(r *http.Request) (*http.Response, error) {
			if err := step(); err != nil {
				return nil, err
			}
			answer, err := next.RoundTrip(r)
			if err == nil {
				if err = step(); err != nil {
					answer.Body.Close()
				}
			}
			return answer, err
		})
	}}
}

type rounds func(*http.Request) (*http.Response, error)

func (r rounds) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// damaged lets the suite overwrite blobs, as another program would.
type damaged struct {
	*Store
	t *testing.T
}

func (d damaged) DamageAt(_ ingest.Digest, address ingest.Address, p []byte) {
	d.t.Helper()
	if _, err := plainClient(d.t).UploadBuffer(d.t.Context(), d.containerName(), address.Name, p, nil); err != nil {
		d.t.Fatal(err)
	}
}

// sasAddress returns the container's address with a SAS.
func sasAddress(t *testing.T, c *azblob.Client, name, rights string) string {
	t.Helper()
	key, err := azblob.NewSharedKeyCredential(emulatorAccount, emulatorKey)
	if err != nil {
		t.Fatal(err)
	}
	query, err := sas.BlobSignatureValues{
		Protocol: sas.ProtocolHTTPSandHTTP, ExpiryTime: time.Now().Add(time.Hour),
		ContainerName: name, Permissions: rights,
	}.SignWithSharedKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return c.URL() + "/" + name + "?" + query.Encode()
}

// payloadName returns the name of a payload that is not encoded.
func payloadName(digest ingest.Digest) string {
	return storage.PayloadOf(digest, ingest.Encoding{}).Name()
}
