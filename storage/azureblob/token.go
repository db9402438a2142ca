package azureblob

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// tokens is the default credential, without its own retries: an error says what happened on the way
// to the service that gives tokens out, which azidentity keeps to itself.
type tokens struct{ chain azcore.TokenCredential }

// newTokens returns the default credential. sender is what its requests go through.
func newTokens(sender policy.Transporter) (azcore.TokenCredential, error) {
	chain, err := azidentity.NewDefaultAzureCredential(
		&azidentity.DefaultAzureCredentialOptions{ClientOptions: azcore.ClientOptions{
			Retry:     policy.RetryOptions{MaxRetries: -1},
			Transport: noting{sender},
		}},
	)
	if err != nil {
		return nil, err
	}
	return tokens{chain}, nil
}

// GetToken satisfies azcore.TokenCredential.
func (t tokens) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	var line atomic.Pointer[error]
	token, err := t.chain.GetToken(context.WithValue(ctx, lineKey{}, &line), options)
	var refused *azidentity.AuthenticationFailedError
	if seen := line.Load(); seen != nil && errors.As(err, &refused) && refused.RawResponse == nil {
		err = errors.Join(err, *seen)
	}
	return token, err
}

type lineKey struct{}

// noting keeps the error of a request that was not answered where GetToken finds it.
type noting struct{ sender policy.Transporter }

// Do satisfies policy.Transporter.
func (n noting) Do(r *http.Request) (*http.Response, error) {
	answer, err := n.sender.Do(r)
	if line, ok := r.Context().Value(lineKey{}).(*atomic.Pointer[error]); ok && err != nil {
		line.Store(&err)
	}
	return answer, err
}

// refusedToken judges a token that was not given out. What happened on the way there passes, as
// elsewhere.
func (e *Error) refusedToken(err *azidentity.AuthenticationFailedError, onTheWay bool) {
	switch answer := err.RawResponse; {
	case answer != nil && isTransientStatus(answer.StatusCode):
		e.transient, e.after, e.Hint = true, retryAfter(answer.Header), "the service that gives out tokens is busy"
	case answer == nil && onTheWay:
		e.transient, e.Hint = true, "the service that gives out tokens cannot be reached"
	default:
		e.Hint = noToken
	}
}

const noToken = "no token: sign in (az login), set the variables of a service principal, or set " + envKey + " or " + envSAS

// tokenTimeout is for a whole request of a token, which is short.
const tokenTimeout = time.Minute
