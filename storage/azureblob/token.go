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

// tokens is the default credential, without its own retries. Its errors include network errors on
// the way to the token service, which azidentity does not report.
type tokens struct{ chain azcore.TokenCredential }

// newTokens returns the default credential. sender sends its requests.
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

// GetToken implements azcore.TokenCredential.
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

// noting stores the error of a request without an answer for GetToken.
type noting struct{ sender policy.Transporter }

// Do implements policy.Transporter.
func (n noting) Do(r *http.Request) (*http.Response, error) {
	answer, err := n.sender.Do(r)
	if line, ok := r.Context().Value(lineKey{}).(*atomic.Pointer[error]); ok && err != nil {
		line.Store(&err)
	}
	return answer, err
}

// refusedToken classifies an error of the token service. Network errors are transient.
func (e *Error) refusedToken(err *azidentity.AuthenticationFailedError, network bool) {
	switch answer := err.RawResponse; {
	case answer != nil && isTransientStatus(answer.StatusCode):
		e.transient, e.after, e.Hint = true, retryAfter(answer.Header), "the token service is busy"
	case answer == nil && network:
		e.transient, e.Hint = true, "the token service cannot be reached"
	default:
		e.Hint = noToken
	}
}

const (
	noToken = "no token: sign in (az login), set the variables of a service principal, or set " + envKey + " or " +
		envSAS
	// noCredential is the hint for anonymous requests.
	noCredential = "the service requires a credential: set " + envKey + " or " + envSAS + ", or sign in"
)

// tokenTimeout bounds one request for a token.
const tokenTimeout = time.Minute
