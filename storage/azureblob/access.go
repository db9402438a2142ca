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

// The account that every emulator has. Its key is published and protects nothing.
const (
	emulatorAccount = "devstoreaccount1"
	emulatorKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	emulatorAddress = "http://127.0.0.1:10000/" + emulatorAccount
)

// The variables that the other tools read too.
const (
	envAccount    = "AZURE_STORAGE_ACCOUNT"
	envKey        = "AZURE_STORAGE_KEY"
	envSAS        = "AZURE_STORAGE_SAS_TOKEN"
	envConnection = "AZURE_STORAGE_CONNECTION_STRING"
	envAuthMode   = "AZURE_STORAGE_AUTH_MODE"
)

// seams are what tests put in place of the world.
type seams struct {
	token  azcore.TokenCredential
	roots  *x509.CertPool
	rounds func(http.RoundTripper) http.RoundTripper // what requests go through before they leave
}

// access is one way to be let in, for one account at one host. At most one of key, sas and token is
// set.
type access struct {
	host    string
	account string
	key     string
	sas     string // without a question mark
	token   azcore.TokenCredential
}

// access chooses the credential. It may move the place to the endpoint that a connection string
// names.
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
		return nil, fmt.Errorf(
			"%s is key, and neither %s nor %s nor %s is set",
			envAuthMode,
			envKey,
			envSAS,
			envConnection,
		)
	}
	return a, p.defaultToken(a)
}

// fromEnvironment takes what the variables hold for this account, and nothing if they hold nothing
// for it.
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
		return fmt.Errorf("%s and %s are for the account %s, and the store is in %s: set %s, or set %s to login",
			envKey, envSAS, mention(account), p.account, envAccount, envAuthMode)
	}
	if key == "" && account == "" { // a key signs and stays here; a SAS is sent, and its receiver can use it
		return fmt.Errorf(
			"%s is set, and %s does not say for which account: set it to %s if the SAS is for that, put the SAS into the store's address, or set %s to login",
			envSAS,
			envAccount,
			p.account,
			envAuthMode,
		)
	}
	if !p.isAzure() && !p.loopback {
		return p.errStranger("what " + envKey + " and " + envSAS + " hold")
	}
	if a.key = key; key == "" {
		a.sas = sas
	}
	return nil
}

// errStranger refuses to send to a host what was not given for it.
func (p *place) errStranger(what string) error {
	return fmt.Errorf(
		"%s is not a host of Azure Storage, and does not get %s: put a SAS into the address, or name the host as BlobEndpoint in %s",
		p.host,
		what,
		envConnection,
	)
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

// scrub takes every secret that this process knows out of a text that somebody else wrote.
func (a *access) scrub(text string) string {
	secrets := []string{a.key, a.sas, a.signature()}
	if plain, err := url.QueryUnescape(a.signature()); err == nil {
		secrets = append(secrets, plain)
	}
	for _, name := range []string{envKey, envSAS, envConnection, "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_PASSWORD"} {
		secrets = append(secrets, os.Getenv(name))
	}
	for _, secret := range secrets {
		if len(secret) > 3 {
			text = strings.ReplaceAll(text, secret, "(secret)")
		}
	}
	return text
}

// signature is the part of a SAS that must not be seen.
func (a *access) signature() string {
	for _, pair := range strings.Split(a.sas, "&") {
		if value, ok := strings.CutPrefix(pair, "sig="); ok {
			return value
		}
	}
	return ""
}
