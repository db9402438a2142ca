package azureblob

import (
	"context"
	"io"
	"net/http"

	"golang.org/x/time/rate"
)

// limit bounds the bytes per second of all requests' bodies in both directions. A nil limit is
// unlimited.
type limit struct{ *rate.Limiter }

// newLimit returns a limit of so many megabits (1,000,000 bits) per second; nil if that is zero or
// less.
func newLimit(megabits float64) *limit {
	if megabits <= 0 {
		return nil
	}
	perSecond := megabits * 1e6 / 8
	// The burst is a tenth of a second. Less would only add waits.
	return &limit{rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/10)))}
}

// request returns r with a limited body.
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

// body returns a limited body.
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

// Read returns when the limit allows the bytes that it has read.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.limit.Burst())])
	if n > 0 {
		if waited := b.limit.WaitN(b.ctx, n); waited != nil {
			if ended := b.ctx.Err(); ended != nil {
				return n, ended
			}
			return n, context.DeadlineExceeded // the deadline comes before the limit allows the bytes
		}
	}
	return n, err
}
