package azureblob

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// deed is what a proxy does with a request.
type deed func(p *proxyServer, w http.ResponseWriter, r *http.Request)

// proxyServer is between the client and Azurite. choose returns the deed for a request; nil
// forwards it.
type proxyServer struct {
	host    string // of the proxy
	target  string // host of Azurite
	choose  func(r *http.Request) deed
	client  http.Client
	written atomic.Int64 // bytes of bodies sent to Azurite
}

func newProxy(t *testing.T, choose func(r *http.Request) deed) *proxyServer {
	t.Helper()
	u, err := url.Parse(azurite(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxyServer{target: u.Host, choose: choose}
	p.client = http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 32},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.host = strings.TrimPrefix(server.URL, "http://")
	return p
}

func (p *proxyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if act := p.choose(r); act != nil {
		act(p, w, r)
		return
	}
	pass(p, w, r)
}

// forward sends the request to Azurite and returns the answer. net/http cannot retry it, which
// would hide faults.
func (p *proxyServer) forward(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	out, err := http.NewRequest(r.Method, "http://"+p.target+r.URL.RequestURI(), strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	out.Header = r.Header.Clone()
	out.ContentLength = int64(len(body))
	p.written.Add(int64(len(body)))
	return p.client.Do(out)
}

func pass(p *proxyServer, w http.ResponseWriter, r *http.Request) {
	answer, err := p.forward(r)
	if err != nil {
		cut(p, w, r)
		return
	}
	defer answer.Body.Close()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

// cut resets the connection before anything is forwarded.
func cut(_ *proxyServer, w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// cutBody reads half of the body and resets the connection.
func cutBody(p *proxyServer, w http.ResponseWriter, r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
	cut(p, w, r)
}

// dropAnswer lets the request take effect and resets the connection.
func dropAnswer(p *proxyServer, w http.ResponseWriter, r *http.Request) {
	if answer, err := p.forward(r); err == nil {
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
	cut(p, w, r)
}

// halveAnswer sends half of the answer's body.
func halveAnswer(p *proxyServer, w http.ResponseWriter, r *http.Request) {
	answer, err := p.forward(r)
	if err != nil {
		cut(p, w, r)
		return
	}
	defer answer.Body.Close()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.CopyN(w, answer.Body, answer.ContentLength/2)
	_ = http.NewResponseController(w).Flush()
	cut(p, w, r)
}

// say answers with a status, an error code, and headers as names and values.
func say(status int, code string, headers ...string) deed {
	return func(_ *proxyServer, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		if code != "" {
			w.Header().Set("x-ms-error-code", code)
		}
		w.Header().Set("x-ms-request-id", "11111111-2222-3333-4444-555555555555")
		w.WriteHeader(status)
	}
}

// late waits before it forwards the request.
func late(wait time.Duration) deed {
	return func(p *proxyServer, w http.ResponseWriter, r *http.Request) {
		time.Sleep(wait)
		pass(p, w, r)
	}
}

// silent never answers.
func silent(_ *proxyServer, _ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// firstOf performs d on the first n requests that match, and forwards the others.
func firstOf(n int64, matches func(*http.Request) bool, d deed) func(*http.Request) deed {
	var count atomic.Int64
	return func(r *http.Request) deed {
		if matches(r) && count.Add(1) <= n {
			return d
		}
		return nil
	}
}

// isUpload matches the Put Blob of a payload.
func isUpload(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.RawQuery == ""
}
