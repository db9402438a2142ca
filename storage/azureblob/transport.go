package azureblob

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// tokenScope is the same in all Azure clouds.
const tokenScope = "https://storage.azure.com/.default"

// maxErrorBody bounds what is read of an error's body.
const maxErrorBody = 64 << 10

// client returns the SDK's client for the container. The SDK's own token policy lets the server
// choose the token's scope; the plain one does not.
func (a *access) client(containerURL string, settings Settings, seams seams) (*container.Client, error) {
	options := &container.ClientOptions{ClientOptions: azcore.ClientOptions{
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{ApplicationID: "ingest"},
		Transport: newTransport(a, settings, seams),
	}}
	if a.token != nil {
		options.PerRetryPolicies = append(
			options.PerRetryPolicies,
			runtime.NewBearerTokenPolicy(a.token, []string{tokenScope}, nil),
		)
	}
	if a.key == "" {
		return container.NewClientWithNoCredential(containerURL, options)
	}
	key, err := blob.NewSharedKeyCredential(a.account, a.key)
	if err != nil {
		return nil, errors.New("the account key is not base64")
	}
	return container.NewClientWithSharedKeyCredential(containerURL, key, options)
}

// transport sends requests to one host. It adds the SAS last, so that no other code sees a URL with
// a SAS. It treats a redirect as an error.
type transport struct {
	access *access
	rounds http.RoundTripper
	limit  *limit
}

func newTransport(a *access, settings Settings, seams seams) *transport {
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	t := &transport{access: a, limit: newLimit(settings.CapMbps), rounds: &http.Transport{
		Proxy: proxy,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &stallConn{Conn: conn, stall: settings.Stall}, nil
		},
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: seams.roots},
		TLSHandshakeTimeout:   30 * time.Second,
		ExpectContinueTimeout: time.Second,
		// net/http may open a new connection although one becomes free in the meantime. There is
		// room to keep both.
		MaxIdleConns:        2 * settings.Workers,
		MaxIdleConnsPerHost: 2 * settings.Workers,
		IdleConnTimeout:     60 * time.Second,
		DisableCompression:  true, // the size that is read must be the size that was stored
	}}
	if seams.rounds != nil {
		t.rounds = seams.rounds(t.rounds)
	}
	return t
}

// proxy returns the proxy for a request. Its error does not contain the proxy's password.
func proxy(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errors.New("the proxy's address in HTTPS_PROXY or HTTP_PROXY is not a URL")
	}
	return u, nil
}

// Do implements policy.Transporter.
func (t *transport) Do(r *http.Request) (*http.Response, error) {
	if r.URL.Host != t.access.host {
		return nil, fmt.Errorf("a request to %s has a credential for %s", r.URL.Host, t.access.host)
	}
	sent := r
	if t.access.sas != "" {
		sent = r.Clone(r.Context())
		if sent.URL.RawQuery != "" {
			sent.URL.RawQuery += "&"
		}
		sent.URL.RawQuery += t.access.sas
	}
	answer, err := t.rounds.RoundTrip(t.limit.request(sent))
	if err != nil {
		return nil, err
	}
	answer.Request = r
	answer.Body = t.limit.body(r.Context(), answer.Body)
	if answer.StatusCode >= 300 {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, maxErrorBody), answer.Body}
	}
	return answer, nil
}

// stallConn is a connection that fails if no byte moves in either direction for the duration of
// stall. A timeout for a whole request would depend on the speed of the network.
type stallConn struct {
	net.Conn
	stall time.Duration
}

func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *stallConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
