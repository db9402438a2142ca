package azureblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// The secrets of these tests. No text of a store may contain any of them.
const (
	secretKey = "c2VjcmV0LWtleS1zZWNyZXQta2V5LXNlY3JldC1rZXk="
	secretSig = "s3cr3tSignature%2Fs3cr3t%3D"
	secretSAS = "sv=2024-11-04&ss=b&srt=sco&sp=rwdlac&se=2099-01-01&sig=" + secretSig
)

func assertNoSecret(t *testing.T, what, text string) {
	t.Helper()
	for _, secret := range []string{
		secretKey, secretSig, "s3cr3tSignature", "s3cr3t-token", "s3cr3t-proxy", "sig=", "SharedKey ",
	} {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows %q: %s", what, secret, text)
		}
	}
}

// echo answers with everything that it received, as the service does to explain a wrong signature.
func echo(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		received := r.URL.String() + " " + r.Header.Get("Authorization")
		w.Header().Set("x-ms-error-code", received)
		w.Header().Set("x-ms-request-id", received)
		w.Header().Set("Location", "http://127.0.0.1:1/"+received)
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<Error><Code>AuthenticationFailed</Code><Message>%s %s %s</Message></Error>", received,
			secretKey, secretSAS)
	}
}

// hangUp ends every connection in the middle of an answer.
func hangUp(w http.ResponseWriter, r *http.Request) {
	conn, _, _ := w.(http.Hijacker).Hijack()
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
	}
	_ = conn.Close()
}

// Every call fails in every way, with every kind of credential, and no text contains a secret.
func TestErrorsContainNoSecrets(t *testing.T) {
	kinds := map[string]http.HandlerFunc{
		"hang up": hangUp,
		"garbage": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_, _ = io.WriteString(conn, "s3cr3tSignature\r\n\r\n")
			_ = conn.Close()
		},
		"wrong list": func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, "<Error>"+r.URL.String()) },
		"no answer": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
	}
	for _, status := range []int{200, 301, 307, 400, 401, 403, 404, 409, 412, 429, 500, 503} {
		kinds[fmt.Sprint(status)] = echo(status)
	}
	for kind, answer := range kinds {
		server := httptest.NewServer(answer)
		for _, credential := range []string{"key", "SAS in the address", "SAS", "connection string"} {
			t.Run(kind+", "+credential, func(t *testing.T) {
				s := openSecret(t, server.URL, credential, 50*time.Millisecond)
				assertNoSecret(t, "the store", fmt.Sprintf("%v %+v %#v %s", s, s, s, s))
				for verb, err := range everyCall(t, s) {
					if err != nil {
						assertNoSecret(t, verb, fmt.Sprintf("%v %+v %#v", err, err, errors.Unwrap(err)))
					}
				}
			})
		}
		server.CloseClientConnections()
		server.Close()
	}
}

func openSecret(t *testing.T, serverURL, credential string, stall time.Duration) *Store {
	t.Helper()
	clearEnvironment(t)
	address := serverURL + "/account1/secret"
	t.Setenv(envAccount, "account1")
	switch credential {
	case "key":
		t.Setenv(envKey, secretKey)
	case "SAS in the address":
		address += "?" + secretSAS
	case "SAS":
		t.Setenv(envSAS, "?"+secretSAS)
	default:
		t.Setenv(envConnection, "BlobEndpoint="+serverURL+"/account1;AccountName=account1;AccountKey="+secretKey)
		address = "azblob://account1/secret"
	}
	return openStore(
		t,
		address,
		Settings{Layout: ByPosition, Stall: stall, BlockBytes: 4, Policy: storage.Policy{Attempts: 1}},
	)
}

func everyCall(t *testing.T, s *Store) map[string]error {
	p := []byte("payload")
	digest := ingest.Sum(p)
	said := map[string]error{}
	_, said["Put"] = s.Put(t.Context(), ingest.Key{Digest: digest}, p)
	_, said["Put, looking first"] = s.Put(t.Context(), ingest.Key{Digest: digest}, make([]byte, lookFirst))
	_, said["Replace"] = s.Replace(t.Context(), digest, ingest.Address{}, p)
	_, said["Get"] = get(t, s, digest, ingest.Address{Bytes: 7})
	said["Get a part"] = s.Get(t.Context(), digest, ingest.Address{Bytes: 7}, 2, make([]byte, 3))
	_, said["Owner"] = s.Owner(t.Context(), "catalog")
	_, said["PutFile"] = s.PutFile(t.Context(), "", digest, strings.NewReader("payload"), 7)
	_, said["Stat"] = s.Stat(t.Context(), digest, ingest.Address{Bytes: 7})
	said["Delete"] = remove(t, s, ingest.Object{Name: payloadName(digest), Modified: time.Now(), Tag: "0x1"})
	for _, err := range s.List(t.Context()) {
		said["List"] = err
	}
	s.layout = ByContent // in the other, Reuse sends no request
	_, _, said["Reuse"] = s.Reuse(t.Context(), digest, ingest.Address{URI: s.urlOf(payloadName(digest)), Bytes: 7})
	return said
}

// A bad request is explained, without secrets.
func TestReasonOfABadRequest(t *testing.T) {
	for name, test := range map[string]struct {
		code, text, want string
	}{
		"header": {"OutOfRangeInput", "<Message>One of the request inputs is out of range.\nRequestId:1</Message>" +
			"<HeaderName>x-ms-access-tier</HeaderName>",
			"One of the request inputs is out of range.; x-ms-access-tier"},
		"lines": {"X", "<Message>\n  out of\n range</Message><Reason>two\r\n lines &amp; &lt;more&gt;</Reason>",
			"two lines & <more>"},
		"hint of ours": {"InvalidHeaderValue", "<Message>theirs</Message>",
			"the service does not know a header or its value"},
		"our own SAS":  {"X", "<Message>cannot read s3cr3tSignature/s3cr3t=</Message>", ""},
		"somebody's":   {"X", "<Message>cannot read https://x/?sv=1&amp;sig=abc</Message>", ""},
		"signed text":  {"X", "<Message>Authorization: SharedKey a:b</Message>", ""},
		"no XML":       {"X", "what?", ""},
		"a terminal's": {"X", "<Message>red &#x9b;31m</Message>", `\u009b`},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("x-ms-error-code", test.code)
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(
				w,
				"<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>"+test.code+"</Code>"+test.text+"</Error>",
			)
		}))
		s := openSecret(t, server.URL, "SAS", time.Second)
		_, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(nil)}, nil)
		server.Close()
		var e *Error
		if !errors.As(err, &e) || test.want == "" && e.Hint != "" || !strings.Contains(e.Hint, test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		} else {
			assertNoSecret(t, name, err.Error())
		}
	}
}

// Secrets in wrong places are not shown.
func TestSecretsInInvalidAddresses(t *testing.T) {
	for address, connection := range map[string]string{
		"https://account1.blob.core.windows.net/tensors/x?" + secretSAS: "",
		"https://account1.blob.core.windows.net/" + secretSAS:           "",
		"http://account1.blob.core.windows.net/tensors?" + secretSAS:    "",
		"azblob://" + secretSAS: "", "azblob://account1/c?sv=1": "",
		"https://user:" + secretKey + "@account1.blob.core.windows.net/c": "", "https://%zz" + secretSAS: "",
		secretSAS: "", "AccountName=account1;AccountKey=" + secretKey: "", "https://example.com/c#" + secretSAS: "",
		"azblob://account1/c":  "AccountName=account2;AccountKey=" + secretKey,
		"azblob://account1/d":  "AccountKey=" + secretKey,
		"azblob://account1/e1": secretKey, "azblob://account1/f1": "AccountName=account1;AccountKey=%" + secretKey,
		"azblob://account1/g1": "BlobEndpoint=https://x/?" + secretSAS + ";AccountName=account1",
		"azblob://account1/h1": "BlobEndpoint=http://example.com;AccountName=account1;AccountKey=" + secretKey,
	} {
		clearEnvironment(t)
		t.Setenv(envConnection, connection)
		_, err := Open(t.Context(), address, Settings{})
		if err == nil {
			t.Errorf("%s was opened", address)
			continue
		}
		assertNoSecret(t, "Open", err.Error())
	}
	clearEnvironment(t)
	t.Setenv(envKey, "%"+secretKey)
	if _, err := Open(t.Context(), "azblob://account1/c12", Settings{}); err == nil {
		t.Error("an invalid key was accepted")
	} else {
		assertNoSecret(t, "Open", err.Error())
	}
}

// The target of a redirect gets no request.
func TestRedirectsAreRefused(t *testing.T) {
	var seen atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		for _, credential := range []string{"key", "SAS in the address"} {
			for verb, err := range everyCall(t, openSecret(t, server.URL, credential, time.Minute)) {
				var e *Error
				if !errors.As(err, &e) || e.Status != status || passes(err) ||
					!strings.Contains(err.Error(), "another address") {
					t.Errorf("%d, %s: %v", status, verb, err)
				}
			}
		}
		server.Close()
	}
	if seen.Load() != 0 {
		t.Errorf("%d requests followed a redirect", seen.Load())
	}
}

// tokenFor is a credential that records the scopes of its tokens.
type tokenFor struct {
	scopes []string
	err    error
}

func (c *tokenFor) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.scopes = append(c.scopes, o.Scopes...)
	return azcore.AccessToken{Token: "s3cr3t-token", ExpiresOn: time.Now().Add(time.Hour)}, c.err
}

// A token is only sent over https, and a server cannot choose its scope.
func TestTokens(t *testing.T) {
	clearEnvironment(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cr3t-token" {
			t.Errorf("a request with the authorization %q", r.Header.Get("Authorization"))
		}
		w.Header().Set("WWW-Authenticate", `Bearer authorization_uri="https://example.com/t/oauth2" `+
			`resource_id="https://management.azure.com"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	token := &tokenFor{}
	s, err := open(
		t.Context(),
		server.URL+"/account1/c12",
		Settings{Policy: storage.Policy{Attempts: 1}},
		seams{token: token, roots: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs},
	)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(nil)}, nil)
	if err == nil || len(token.scopes) == 0 {
		t.Errorf("%v, asked for %v", err, token.scopes)
	}
	for _, scope := range token.scopes {
		if scope != tokenScope {
			t.Errorf("requested a token for %s", scope)
		}
	}
	assertNoSecret(t, "Put", err.Error())

	// None of these errors is transient.
	once := Settings{Policy: storage.Policy{Attempts: 1}}
	noToken := &tokenFor{err: errors.New("EnvironmentCredential: s3cr3t-token")}
	for name, open := range map[string]func() (ingest.Store, error){
		"unknown certificate": func() (ingest.Store, error) {
			return open(t.Context(), server.URL+"/account1/c12", once, seams{token: &tokenFor{}})
		},
		"plain http": func() (ingest.Store, error) {
			return open(t.Context(), "http://127.0.0.1:1/account1/c12", once, seams{token: &tokenFor{}})
		},
		"no token": func() (ingest.Store, error) {
			return open(t.Context(), server.URL+"/account1/c12", once, seams{token: noToken})
		},
	} {
		t.Setenv("AZURE_CLIENT_SECRET", "s3cr3t-token")
		s, err := open()
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(nil)}, nil)
		if err == nil || passes(err) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		assertNoSecret(t, name, fmt.Sprintf("%v %#v", err, errors.Unwrap(err)))
	}
}
