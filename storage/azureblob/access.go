package azureblob

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// The account of every emulator. Its key is public.
const (
	emulatorAccount = "devstoreaccount1"
	emulatorKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	emulatorAddress = "http://127.0.0.1:10000/" + emulatorAccount
)

// Environment variables that Azure's tools use, too.
const (
	envAccount    = "AZURE_STORAGE_ACCOUNT"
	envKey        = "AZURE_STORAGE_KEY"
	envSAS        = "AZURE_STORAGE_SAS_TOKEN"
	envConnection = "AZURE_STORAGE_CONNECTION_STRING"
	envAuthMode   = "AZURE_STORAGE_AUTH_MODE"
)

// seams are replaced by tests.
type seams struct {
	token  azcore.TokenCredential
	roots  *x509.CertPool
	rounds func(http.RoundTripper) http.RoundTripper // wraps the transport
}

// access is a credential for one account at one host. At most one of key, sas and token is set.
type access struct {
	host    string
	account string
	key     string
	sas     string // without a question mark
	token   azcore.TokenCredential
}

// access chooses the credential. It may change p to the endpoint of a connection string.
func (p *place) access(seams seams) (*access, error) {
	a := &access{host: p.host, account: p.account}
	mode := os.Getenv(envAuthMode)
	if mode != "" && mode != "login" && mode != "key" {
		return nil, fmt.Errorf("%s is %s: want login or key", envAuthMode, mention(mode))
	}
	switch {
	case seams.token != nil:
		a.token = seams.token
		return a, nil
	case p.sas != "":
		a.sas = p.sas
		return a, nil
	case mode != "login":
		if err := p.fromEnvironment(a); err != nil || a.key != "" || a.sas != "" {
			return a, err
		}
	}
	if mode == "key" {
		return nil, fmt.Errorf("%s is key, but none of %s, %s and %s is set", envAuthMode, envKey, envSAS,
			envConnection)
	}
	return a, p.defaultToken(a)
}

// fromEnvironment sets the credential from environment variables, if they have one for this
// account.
func (p *place) fromEnvironment(a *access) error {
	key, sas, account := os.Getenv(envKey), strings.TrimPrefix(os.Getenv(envSAS), "?"), os.Getenv(envAccount)
	connection := os.Getenv(envConnection)
	if p.loopback && p.account == emulatorAccount && account != emulatorAccount &&
		!namesAccount(connection, emulatorAccount) {
		a.key = emulatorKey
		return nil
	}
	if connection != "" {
		return p.fromConnection(a, connection)
	}
	if key == "" && sas == "" {
		return nil
	}
	if account != p.account && (account != "" || p.loopback) {
		return fmt.Errorf("%s and %s are for the account %s, but the store is in %s: set %s, or set %s to login",
			envKey, envSAS, mention(account), p.account, envAccount, envAuthMode)
	}
	if key == "" && account == "" { // a key only signs, but a SAS is sent, and the receiver could use it
		return fmt.Errorf("%s is set, but %s does not say for which account: set it to %s if the SAS is for "+
			"that account, "+
			"put the SAS into the store's address, or set %s to login", envSAS, envAccount, p.account, envAuthMode)
	}
	if !p.isAzure() && !p.loopback {
		return p.errStranger("the credential in " + envKey + " or " + envSAS)
	}
	if a.key = key; key == "" {
		a.sas = sas
	}
	return nil
}

// errStranger refuses to send a credential to a host that it was not given for.
func (p *place) errStranger(what string) error {
	return fmt.Errorf("%s is not a host of Azure Storage, so it does not get %s: put a SAS into the address, "+
		"or set the host as BlobEndpoint in %s", p.host, what, envConnection)
}

func (p *place) defaultToken(a *access) error {
	if !p.isAzure() {
		return p.errStranger("a token of the default credential")
	}
	token, err := newTokens(&http.Client{Timeout: tokenTimeout})
	if err != nil {
		return errors.New("default credential: " + a.scrub(err.Error()))
	}
	a.token = token
	return nil
}

// scrub removes all secrets that this process knows from a text that was received.
func (a *access) scrub(text string) string {
	secrets := []string{a.key, a.sas, a.signature()}
	if plain, err := url.QueryUnescape(a.signature()); err == nil {
		secrets = append(secrets, plain)
	}
	for _, name := range []string{
		envKey, envSAS, envConnection, "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_PASSWORD",
	} {
		secrets = append(secrets, os.Getenv(name))
	}
	for _, secret := range secrets {
		if len(secret) > 3 {
			text = strings.ReplaceAll(text, secret, "(secret)")
		}
	}
	return text
}

// signature is the secret part of a SAS.
func (a *access) signature() string {
	for _, pair := range strings.Split(a.sas, "&") {
		if value, ok := strings.CutPrefix(pair, "sig="); ok {
			return value
		}
	}
	return ""
}
