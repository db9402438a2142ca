package azureblob

import (
	"context"
	"io"
	"net/http"

	"golang.org/x/time/rate"
)

// limit bounds the bytes of bodies that go in both directions each second, all requests together. A
// nil limit bounds nothing.
type limit struct{ *rate.Limiter }

// newLimit allows so many megabits (of 1,000,000 bits) a second; nil if that is zero or less.
func newLimit(megabits float64) *limit {
	if megabits <= 0 {
		return nil
	}
	perSecond := megabits * 1e6 / 8
	// A tenth of a second may go at once. Less would only add waits.
	return &limit{rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/10)))}
}

// request returns r with a body that keeps to the limit.
func (l *limit) request(r *http.Request) *http.Request {
	if l == nil || r.Body == nil || r.Body == http.NoBody {
		return r
	}
	r = r.Clone(r.Context())
	r.Body = l.body(r.Context(), r.Body)
	if again := r.GetBody; again != nil {
		r.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			return l.body(r.Context(), body), err
		}
	}
	return r
}

// body returns a body that keeps to the limit.
func (l *limit) body(ctx context.Context, body io.ReadCloser) io.ReadCloser {
	if l == nil || body == nil {
		return body
	}
	return &limitedBody{body, l, ctx}
}

type limitedBody struct {
	io.ReadCloser
	limit *limit
	ctx   context.Context
}

// Read hands on what it has read when that may go.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.limit.Burst())])
	if n > 0 {
		if waited := b.limit.WaitN(b.ctx, n); waited != nil {
			if ended := b.ctx.Err(); ended != nil {
				return n, ended
			}
			return n, context.DeadlineExceeded // it would end before the bytes may go
		}
	}
	return n, err
}
