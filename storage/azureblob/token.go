package azureblob

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/hartonomous/ingest/ingest"
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

// tokenText puts an error of azidentity on one line: what each credential says, without the requests and
// answers, which are below it.
func tokenText(text string) string {
	var parts []string
	for line := range strings.Lines(troubleshoot.ReplaceAllString(text, "")) {
		if strings.HasPrefix(line, "GET ") || strings.HasPrefix(line, "POST ") || strings.HasPrefix(line, "----") {
			break
		}
		if strings.HasPrefix(line, "\t\t") {
			continue
		}
		if line = strings.TrimSpace(strings.TrimRight(line, ". \r\n")); line != "" {
			parts = append(parts, line)
		}
	}
	return strings.ReplaceAll(strings.Join(parts, "; "), "credentials:; ", "credentials: ")
}

// troubleshoot matches links to pages about errors.
var troubleshoot = regexp.MustCompile(`\s*To troubleshoot, visit \S+`)

// tokenAnswer says in words what the token service answered; nothing if there is no answer.
func tokenAnswer(answer *http.Response) string {
	if answer == nil {
		return ""
	}
	text := fmt.Sprintf("; the token service answered with status %d", answer.StatusCode)
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if said, err := runtime.Payload(answer); err != nil || json.Unmarshal(said, &body) != nil {
		return text
	}
	if plainWord.MatchString(strings.ReplaceAll(body.Error, "_", "-")) {
		text += " " + body.Error
	}
	body.Description, _, _ = strings.Cut(body.Description, "\n")
	if said := strings.TrimSpace(body.Description); said != "" && len(said) <= 500 && !telltale.MatchString(said) {
		text += ": " + ingest.Printable(said)
	}
	return text
}

const (
	noToken = "no token: sign in (az login), set the variables of a service principal, or set " + envKey + " or " +
		envSAS
	// noCredential is the hint for anonymous requests.
	noCredential = "the service requires a credential: set " + envKey + " or " + envSAS + ", or sign in"
)

// tokenTimeout bounds one request for a token.
const tokenTimeout = time.Minute
