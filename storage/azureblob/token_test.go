package azureblob

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// tokenService replaces the token service.
type tokenService func(r *http.Request) (*http.Response, error)

func (s tokenService) Do(r *http.Request) (*http.Response, error) { return s(r) }

func answer(r *http.Request, status int, body string, headers ...string) *http.Response {
	a := &http.Response{
		StatusCode: status,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(strings.NewReader(body)),
		Request:    r,
	}
	for i := 0; i < len(headers); i += 2 {
		a.Header.Set(headers[i], headers[i+1])
	}
	return a
}

// Transient errors of the token service are left to storage.Do, and others are final.
func TestTokenFaults(t *testing.T) {
	for name, test := range map[string]struct {
		fault     func(r *http.Request) (*http.Response, error)
		transient bool
		after     time.Duration
		text      string
	}{
		"429": {func(r *http.Request) (*http.Response, error) {
			return answer(r, 429, "{}", "Retry-After", "7"), nil
		}, true, 7 * time.Second, "busy"},
		"503": {func(r *http.Request) (*http.Response, error) { return answer(r, 503, "{}"), nil }, true, 0, "busy"},
		"reset": {func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
		}, true, 0, "cannot be reached"},
		"cut": {func(*http.Request) (*http.Response, error) {
			return nil, io.ErrUnexpectedEOF
		}, true, 0, "cannot be reached"},
		"refused": {func(r *http.Request) (*http.Response, error) {
			return answer(r, 401, `{"error":"invalid_client","error_description":`+
				`"AADSTS7000215: the app\u0027s secret is wrong.\r\nTrace ID: 1"}`), nil
		}, false, 0, "credentials: ClientSecretCredential authentication failed; the token service answered with " +
			"status 401 invalid_client: AADSTS7000215: the app's secret is wrong."},
	} {
		t.Run(name, func(t *testing.T) {
			clearEnvironment(t)
			for name, value := range map[string]string{"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
				"AZURE_TENANT_ID":     "00000000-0000-0000-0000-000000000001",
				"AZURE_CLIENT_ID":     "00000000-0000-0000-0000-000000000002",
				"AZURE_CLIENT_SECRET": secretKey, "AZURE_AUTHORITY_HOST": ""} {
				t.Setenv(name, value)
			}
			var requests atomic.Int64
			token, err := newTokens(tokenService(func(r *http.Request) (*http.Response, error) {
				switch {
				case strings.Contains(r.URL.Path, "/discovery/instance"):
					return answer(r, 200, `{"tenant_discovery_endpoint":"https://login.microsoftonline.com/x/v2.0/`+
						`.well-known/openid-configuration","metadata":[]}`), nil
				case strings.Contains(r.URL.Path, "openid-configuration"):
					base := "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000001/"
					return answer(r, 200, `{"token_endpoint":"`+base+`oauth2/v2.0/token",`+
						`"authorization_endpoint":"`+base+`a","issuer":"`+base+`v2.0"}`), nil
				}
				requests.Add(1)
				return test.fault(r)
			}))
			if err != nil {
				t.Fatal(err)
			}
			s := openWith(t, "azblob://account1/c12", Settings{}, seams{token: token})
			_, err = s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(nil)}, nil)
			var e *Error
			if !errors.As(err, &e) || passes(err) != test.transient || e.RetryAfter() != test.after ||
				!strings.Contains(err.Error(), test.text) || strings.ContainsAny(err.Error(), "\n\t\\") ||
				!errors.Is(err, ingest.ErrUnreachable) {
				t.Errorf("%v, transient %v", err, passes(err))
			}
			if requests.Load() != 1 {
				t.Errorf("%d requests for a token", requests.Load())
			}
			assertNoSecret(t, "Put", err.Error())
		})
	}
}

// TestTokenText: what each credential says is on one line, without the answers of servers.
func TestTokenText(t *testing.T) {
	const chain = "DefaultAzureCredential: failed to acquire a token.\nAttempted credentials:\n" +
		"\tEnvironmentCredential: missing environment variable AZURE_TENANT_ID\n" +
		"\tManagedIdentityCredential authentication failed. \n\t\tGET http://169.254.169.254/token\n\t\t----\n" +
		"\t\tRESPONSE 403: 403 Forbidden\n\t\tTo troubleshoot, visit https://aka.ms/x#managed-id\n" +
		"\tAzureCLICredential: Azure CLI not found on path. To troubleshoot, visit https://aka.ms/y"
	const single = "ClientSecretCredential authentication failed. \nPOST https://host/token\n----\nRESPONSE 401"
	for text, want := range map[string]string{
		chain: "DefaultAzureCredential: failed to acquire a token; Attempted credentials: EnvironmentCredential: " +
			"missing environment variable AZURE_TENANT_ID; ManagedIdentityCredential authentication failed; " +
			"AzureCLICredential: Azure CLI not found on path",
		single: "ClientSecretCredential authentication failed",
		"x":    "x",
		"":     "",
	} {
		if got := tokenText(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
