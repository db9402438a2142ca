package azureblob

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// parseConnection parses a connection string. Names are in lower case.
func parseConnection(text string) (map[string]string, error) {
	pairs := map[string]string{}
	for _, part := range strings.Split(strings.Trim(text, "; \r\n"), ";") {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return nil, errors.New(envConnection + " is not a connection string: want Name=value pairs separated " +
				"by semicolons")
		}
		pairs[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	if strings.EqualFold(pairs["usedevelopmentstorage"], "true") {
		pairs["accountname"], pairs["accountkey"], pairs["blobendpoint"] = emulatorAccount, emulatorKey, emulatorAddress
	}
	return pairs, nil
}

// namesAccount reports whether a connection string is for this account.
func namesAccount(text, account string) bool {
	pairs, err := parseConnection(text)
	return err == nil && pairs["accountname"] == account
}

// fromConnection takes the credential of a connection string, and its endpoint if the address names
// only the account. If the string is for another account or host, this is an error: the user
// expects it to be used.
func (p *place) fromConnection(a *access, text string) error {
	pairs, err := parseConnection(text)
	if err != nil {
		return err
	}
	endpoint, err := connectionEndpoint(pairs)
	if err != nil {
		return err
	}
	account := pairs["accountname"]
	if account == "" {
		account = endpoint.account
	}
	if account != p.account || !p.short && endpoint.host != p.host {
		return fmt.Errorf("%s is for the account %s at %s, but the store is in %s at %s: unset it, or set %s to login",
			envConnection, mention(account), endpoint.host, p.account, p.host, envAuthMode)
	}
	if p.short {
		p.endpoint, p.host, p.loopback, a.host = endpoint.endpoint, endpoint.host, endpoint.loopback, endpoint.host
	}
	a.key = pairs["accountkey"]
	if a.key == "" {
		a.sas = strings.TrimPrefix(pairs["sharedaccesssignature"], "?")
	}
	if a.key == "" && a.sas == "" {
		return fmt.Errorf("%s has neither AccountKey nor SharedAccessSignature", envConnection)
	}
	return nil
}

func connectionEndpoint(pairs map[string]string) (*place, error) {
	text := pairs["blobendpoint"]
	if text == "" {
		scheme, suffix := pairs["defaultendpointsprotocol"], pairs["endpointsuffix"]
		if scheme == "" {
			scheme = "https"
		}
		if suffix == "" {
			suffix = "core.windows.net"
		}
		if pairs["accountname"] == "" {
			return nil, errors.New(envConnection + " has neither AccountName nor BlobEndpoint")
		}
		text = scheme + "://" + pairs["accountname"] + ".blob." + suffix
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New(envConnection + ": the endpoint is not an http address")
	}
	p, err := parseAddress(u.Scheme + "://" + u.Host + strings.TrimRight(u.Path, "/") + "/" + defaultContainer)
	if err != nil {
		return nil, fmt.Errorf("%s: the endpoint: %w", envConnection, err)
	}
	return p, nil
}
