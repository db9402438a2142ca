package azureblob

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

func TestAddresses(t *testing.T) {
	const host = "https://account1.blob.core.windows.net"
	for address, want := range map[string]string{
		"azblob://account1":         host + "/tensors",
		"azblob://account1/":        host + "/tensors",
		"azblob://account1/models":  host + "/models",
		"azblob://account1/models/": host + "/models",
		host + "/models":            host + "/models",
		host:                        host + "/tensors",
		"https://account1.z01.blob.storage.azure.net/a-b": "https://account1.z01.blob.storage.azure.net/a-b",
		host + "/models?sv=1&sig=abc":                     host + "/models",
		"http://127.0.0.1:10000/devstoreaccount1/models":  "http://127.0.0.1:10000/devstoreaccount1/models",
		"http://localhost:10000/devstoreaccount1":         "http://localhost:10000/devstoreaccount1/tensors",
		"http://[::1]:10000/devstoreaccount1/models":      "http://[::1]:10000/devstoreaccount1/models",
	} {
		p, err := parseAddress(address)
		if err != nil || p.url() != want {
			t.Errorf("%s: %+v, %v", address, p, err)
		}
	}
	for address, why := range map[string]string{
		"": "scheme", "account1/models": "scheme", "ftp://account1/models": "scheme", "azblob://": "storage account",
		"azblob://Account1/models": "storage account", "azblob://account1/Models": "container",
		"azblob://account1/a--b": "container", "azblob://account1/ab": "container",
		"azblob://account1/models/folder":                     "container",
		"azblob://account1/" + strings.Repeat("a-", 40) + "a": "container",
		"http://account1.blob.core.windows.net/models":        "plain http",
		"http://10.0.0.1/account1/models":                     "plain http",
		host + "/models?x=1":                                  "shared access signature",
		"azblob://account1/models#x":                          "not one of Azure",
	} {
		if _, err := parseAddress(address); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q in it", address, err, why)
		}
	}
}

// TestAccess checks which credential is chosen, and that it is only sent where it was given for.
func TestAccess(t *testing.T) {
	const azure, other = "azblob://account1/c12", "https://files.example.com/c12"
	const local = "http://127.0.0.1:10000/devstoreaccount1/c12"
	const lookalike = "https://account1.blob.core.windows.net.example.com/c12"
	const china = ";EndpointSuffix=core.chinacloudapi.cn"
	key := "AccountName=account1;AccountKey=a2V5"
	for name, test := range map[string]struct {
		address     string
		environment []string
		want        string // key, sas, token, or a part of the error
	}{
		"SAS in the address":             {azure + "?sig=x", []string{envKey, "a2V5"}, "sas x"},
		"SAS in the address of any host": {other + "?sig=x", []string{envKey, "a2V5"}, "sas x"},
		"key":                            {azure, []string{envKey, "a2V5"}, "key a2V5"},
		"key of this account":            {azure, []string{envAccount, "account1", envKey, "a2V5"}, "key a2V5"},
		"key of another account": {azure, []string{envAccount, "account2", envKey, "a2V5"},
			"are for the account"},
		"key before SAS":      {azure, []string{envKey, "a2V5", envSAS, "sig=x"}, "key a2V5"},
		"SAS of this account": {azure, []string{envAccount, "account1", envSAS, "?sig=x"}, "sas x"},
		"SAS of another account": {azure, []string{envAccount, "account2", envSAS, "?sig=x"},
			"are for the account"},
		"SAS of an unknown account":        {azure, []string{envSAS, "?sig=x"}, "does not say for which account"},
		"SAS of an unknown account, login": {azure, []string{envSAS, "?sig=x", envAuthMode, "login"}, "token"},
		"key for any host":                 {other, []string{envKey, "a2V5"}, "not a host of Azure"},
		"key for a lookalike":              {lookalike, []string{envKey, "a2V5"}, "not a host of Azure"},
		"SAS for a lookalike": {lookalike, []string{envAccount, "account1", envSAS, "sig=x"},
			"not a host of Azure"},
		"token for a lookalike":        {lookalike, nil, "not a host of Azure"},
		"connection string":            {azure, []string{envConnection, key}, "key a2V5"},
		"connection string before key": {azure, []string{envConnection, key, envKey, "b3RoZXI="}, "key a2V5"},
		"connection string with SAS": {azure, []string{envConnection,
			"AccountName=account1;SharedAccessSignature=?sig=x"}, "sas x"},
		"connection string, lower case": {azure, []string{envConnection, "accountname=account1; accountkey=a2V5;"},
			"key a2V5"},
		"connection string of another account": {azure, []string{envConnection, "AccountName=account2;AccountKey=a2V5"},
			"is for the account"},
		"connection string for another host": {"https://account1.blob.core.windows.net/c12",
			[]string{envConnection, key + china}, "is for the account"},
		"connection string of another cloud": {azure, []string{envConnection, key + china}, "key a2V5"},
		"connection string without a secret": {azure, []string{envConnection, "AccountName=account1"},
			"neither AccountKey"},
		"connection string, login": {azure, []string{envConnection, key, envAuthMode, "login"}, "token"},
		"login":                    {azure, []string{envKey, "a2V5", envAuthMode, "login"}, "token"},
		"mode key without a key":   {azure, []string{envAuthMode, "key"}, "none of"},
		"another mode":             {azure, []string{envAuthMode, "guess"}, "want login or key"},
		"nothing":                  {azure, nil, "token"},
		"emulator":                 {local, nil, "key " + emulatorKey},
		"emulator with the key of an account": {local, []string{envAccount, "account1", envKey, "a2V5"},
			"key " + emulatorKey},
		"emulator with a connection string": {local, []string{envConnection, key}, "key " + emulatorKey},
		"emulator with its own connection": {"azblob://devstoreaccount1/c12",
			[]string{envConnection, "UseDevelopmentStorage=true"}, "key " + emulatorKey},
		"emulator, another account's key": {"http://127.0.0.1:1/account1/c12", []string{envKey, "a2V5"},
			"are for the account"},
		"emulator, another account": {"http://127.0.0.1:1/account1/c12",
			[]string{envAccount, "account1", envKey, "a2V5"}, "key a2V5"},
		"emulator, another account, no key": {"http://127.0.0.1:1/account1/c12", nil, "not a host of Azure"},
		"endpoint without a container": {azure,
			[]string{envConnection, key + ";BlobEndpoint=http://127.0.0.1:1/account1/"}, "key a2V5"},
	} {
		t.Run(name, func(t *testing.T) {
			clearEnvironment(t)
			for i := 0; i < len(test.environment); i += 2 {
				t.Setenv(test.environment[i], test.environment[i+1])
			}
			if got := chosen(test.address); !strings.Contains(got, test.want) {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func chosen(address string) string {
	p, err := parseAddress(address)
	if err != nil {
		return err.Error()
	}
	a, err := p.access(seams{})
	switch {
	case err != nil:
		return err.Error()
	case a.key != "":
		return "key " + a.key
	case a.sas != "":
		return "sas " + a.signature()
	case a.token != nil:
		return "token"
	}
	return "nothing"
}

// Azurite accepts requests with a SAS, and refuses what the SAS does not allow.
func TestSASAlone(t *testing.T) {
	clearEnvironment(t)
	c := plainClient(t)
	name := newContainer()
	if _, err := c.CreateContainer(t.Context(), name, nil); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, sasAddress(t, c, name, "rwdlc"), Settings{})
	p := randomBytes(100_000, 1)
	a, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p)}, p)
	if err != nil || strings.Contains(a.URI, "?") {
		t.Fatalf("%+v, %v", a, err)
	}
	wantStored(t, s, a, p)
	for _, err := range s.List(t.Context()) {
		if err != nil {
			t.Error(err)
		}
	}
	reader := openStore(t, sasAddress(t, c, name, "r"), Settings{})
	wantStored(t, reader, a, p)
	var e *Error
	if _, err := reader.Put(t.Context(), ingest.Key{Digest: ingest.Sum(nil)}, nil); !errors.As(err, &e) ||
		e.Status != 403 || e.Hint == "" || e.RequestID == "" {
		t.Errorf("a SAS without the right to write: %v", err)
	} else {
		assertNoSecret(t, "Put", err.Error())
	}
}

// Azurite refuses a wrong signature with a long explanation.
func TestWrongKey(t *testing.T) {
	clearEnvironment(t)
	t.Setenv(envAccount, emulatorAccount)
	t.Setenv(envKey, secretKey)
	s := openStore(t, azurite(t)+"/"+newContainer(), Settings{})
	_, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(nil)}, nil)
	var e *Error
	if !errors.As(err, &e) || e.Status != 403 || e.Transient() || !strings.Contains(err.Error(), "key") {
		t.Errorf("%v", err)
	}
	assertNoSecret(t, "Put", err.Error())
}

func TestSettings(t *testing.T) {
	clearEnvironment(t)
	for _, settings := range []Settings{{Layout: "flat"}, {Tier: "lukewarm"}, {Tier: "Hot"}} {
		if _, err := Open(t.Context(), "azblob://account1/c12", settings); err == nil {
			t.Errorf("%+v was accepted", settings)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, "azblob://account1/c12", Settings{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with a cancelled context: %v", err)
	}
	s, err := Open(t.Context(), "azblob://account1", Settings{})
	if err != nil || s.workers != defaultWorkers || s.block != defaultBlockBytes {
		t.Errorf("%+v, %v", s, err)
	}
}
