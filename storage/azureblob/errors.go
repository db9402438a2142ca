package azureblob

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/hartonomous/ingest/ingest"
)

// Error is a call that the service refused, or that did not reach it. It holds no secret.
type Error struct {
	Act       string // what was tried: "store", "read", ...
	URL       string // of the blob or the container, without a query
	Status    int    // of the answer; 0 if there was none
	Code      string // x-ms-error-code
	RequestID string // x-ms-request-id, for the service's support
	Hint      string // what to do, where that is known

	transient bool
	after     time.Duration
	cause     error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Act + " " + e.URL)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": status %d", e.Status)
		if e.Code != "" {
			b.WriteString(" " + e.Code)
		}
		if e.RequestID != "" {
			b.WriteString(" (request " + e.RequestID + ")")
		}
	}
	if e.Hint != "" {
		b.WriteString(": " + e.Hint)
	}
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	return b.String()
}

// Unwrap returns the cause: ingest.ErrNoPayload where a payload that was to be read is not there.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors that say nothing of the blob itself be ingest.ErrUnreachable.
func (e *Error) Is(target error) bool {
	if target != ingest.ErrUnreachable {
		return false
	}
	switch bloberror.Code(e.Code) {
	case bloberror.ContainerNotFound,
		bloberror.ContainerBeingDeleted,
		bloberror.BlobArchived,
		bloberror.BlobBeingRehydrated:
		return true
	}
	switch e.Status {
	case 0, http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= 500
}

// Transient reports that the same call may succeed if it is made again.
func (e *Error) Transient() bool { return e.transient }

// RetryAfter is how long the service asks to wait before that; zero if it says nothing.
func (e *Error) RetryAfter() time.Duration { return e.after }

// failed turns an error of the SDK into one that says what was tried, on what, and what to do. Once
// the caller's context has ended, that is the reason.
func (s *Store) failed(ctx context.Context, act, name string, err error) error {
	e := &Error{Act: act, URL: s.urlOf(name)}
	var said *azcore.ResponseError
	switch {
	case ctx.Err() != nil:
		e.cause = ctx.Err()
	case errors.As(err, &said):
		e.answered(said)
		if e.Hint == "" && e.Status == http.StatusBadRequest {
			e.Hint = s.reason(said)
		}
	default:
		e.unanswered(err)
	}
	if e.cause != nil {
		if text := e.cause.Error(); s.scrub(text) != text {
			e.cause = errors.New(s.scrub(text))
		}
	}
	return e
}

// refused reports whether err is an answer with one of these codes.
func refused(err error, codes ...bloberror.Code) bool {
	var e *Error
	return errors.As(err, &e) && slices.Contains(codes, bloberror.Code(e.Code))
}

// isMissing reports whether err says that there is no such blob, for want of a container perhaps.
func isMissing(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// asMissing adds ingest.ErrNoPayload to an error that says that there is no such blob. Of one
// without a container nothing is known: it may be the wrong name, or account.
func asMissing(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusNotFound && !refused(err, bloberror.ContainerNotFound) {
		e.cause = ingest.ErrNoPayload
	}
	return err
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9-]{1,80}$`)

// answered takes from the answer what is known to be harmless. Its text is not: it may repeat the
// request.
func (e *Error) answered(said *azcore.ResponseError) {
	e.Status = said.StatusCode
	if plainWord.MatchString(said.ErrorCode) {
		e.Code = said.ErrorCode
	}
	if said.RawResponse != nil {
		if id := said.RawResponse.Header.Get("x-ms-request-id"); plainWord.MatchString(id) {
			e.RequestID = id
		}
		e.after = retryAfter(said.RawResponse.Header)
	}
	e.transient = isTransientStatus(e.Status) || transientCodes[bloberror.Code(e.Code)]
	e.Hint = hint(e.Status, bloberror.Code(e.Code))
}

// telltale is what stands beside a secret, in a text that repeats a request.
var telltale = regexp.MustCompile(`(?i)sig=|sharedkey|bearer|authorization|accountkey`)

// reason is what the service says of a request that it does not understand, and nobody else can:
// which header, which value. A text that may repeat a secret is not told.
func (s *Store) reason(said *azcore.ResponseError) string {
	var body struct{ Message, HeaderName, QueryParameterName, Reason string }
	if said.RawResponse == nil {
		return ""
	}
	text, err := runtime.Payload(said.RawResponse)
	if err != nil || xml.Unmarshal(text, &body) != nil {
		return ""
	}
	body.Message, _, _ = strings.Cut(body.Message, "\n")
	var parts []string
	for _, part := range []string{body.Message, body.HeaderName, body.QueryParameterName, body.Reason} {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	reason := strings.Join(parts, "; ")
	if telltale.MatchString(reason) || s.scrub(reason) != reason || len(reason) > 500 {
		return ""
	}
	return ingest.Printable(reason)
}

func isTransientStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500
}

// retryAfter reads the three headers that say how long to wait; the most exact one counts. More
// than a day is a day.
func retryAfter(h http.Header) time.Duration {
	const longest = 24 * time.Hour
	for _, name := range []string{"retry-after-ms", "x-ms-retry-after-ms"} {
		if n, err := strconv.ParseInt(h.Get(name), 10, 64); err == nil && n > 0 {
			return time.Duration(min(n, longest.Milliseconds())) * time.Millisecond
		}
	}
	text := h.Get("Retry-After")
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		return time.Duration(min(n, int64(longest.Seconds()))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, time.Until(at)), longest)
	}
	return 0
}

// unanswered judges an error of the way there. All of them may pass, but for those that a second
// try meets again.
func (e *Error) unanswered(err error) {
	if e.cause = err; strings.Contains(err.Error(), "malformed") {
		// net/http repeats what it could not read, which may be anything, and may be our own
		// request.
		e.cause, e.transient = errors.New("the answer is not one of HTTP"), true
		return
	}
	var refused *azidentity.AuthenticationFailedError
	var missing *net.DNSError
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	var line net.Error
	switch {
	case errors.As(err, &refused):
		e.refusedToken(refused, errors.As(err, &line) || isCut(err))
	case isNoCredential(err):
		e.Hint = noToken
	case errors.As(err, &missing) && missing.IsNotFound:
		e.Hint = "there is no such account: check its name"
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &record):
		e.Hint = "the server cannot be trusted: check the address, and the certificates of a proxy on the way"
	case errors.As(err, &line), isCut(err):
		e.transient = true
	}
}
