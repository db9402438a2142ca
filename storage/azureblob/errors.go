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

// Error is a call that the service refused, or that did not reach it. It contains no secrets.
type Error struct {
	Act       string // such as "store" or "read"
	URL       string // of the blob or the container, without a query
	Status    int    // HTTP status; 0 if there was no answer
	Code      string // x-ms-error-code
	RequestID string // x-ms-request-id, for the service's support
	Hint      string // what to do, if known

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

// Unwrap returns the cause: ingest.ErrNoPayload if the payload to be read does not exist.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors that say nothing about the blob itself ingest.ErrUnreachable.
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

// Transient reports whether the same call may succeed later.
func (e *Error) Transient() bool { return e.transient }

// RetryAfter is how long the service asks to wait; zero if it does not.
func (e *Error) RetryAfter() time.Duration { return e.after }

// failed turns an error of the SDK into an Error. If the caller's context has ended, that is the
// cause.
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

// isMissing reports whether err says that there is no such blob or container.
func isMissing(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// asMissing adds ingest.ErrNoPayload to an error that says that there is no such blob. If the
// container is missing, this is unknown: the name or the account may be wrong.
func asMissing(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusNotFound && !refused(err, bloberror.ContainerNotFound) {
		e.cause = ingest.ErrNoPayload
	}
	return err
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9-]{1,80}$`)

// answered copies the harmless parts of an answer. Its text may repeat the request.
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

// telltale matches words beside secrets in a text that repeats a request.
var telltale = regexp.MustCompile(`(?i)sig=|sharedkey|bearer|authorization|accountkey`)

// reason returns the service's explanation of a bad request, such as the invalid header and its
// value. It returns nothing if the text may contain a secret.
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
		if part = strings.Join(strings.Fields(part), " "); part != "" {
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

// retryAfter reads the three headers that say how long to wait; the most exact one counts. The
// maximum is a day.
func retryAfter(h http.Header) time.Duration {
	const maximum = 24 * time.Hour
	for _, name := range []string{"retry-after-ms", "x-ms-retry-after-ms"} {
		if n, err := strconv.ParseInt(h.Get(name), 10, 64); err == nil && n > 0 {
			return time.Duration(min(n, maximum.Milliseconds())) * time.Millisecond
		}
	}
	text := h.Get("Retry-After")
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		return time.Duration(min(n, int64(maximum.Seconds()))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, time.Until(at)), maximum)
	}
	return 0
}

// unanswered classifies an error without an answer from the service.
func (e *Error) unanswered(err error) {
	if e.cause = err; strings.Contains(err.Error(), "malformed") {
		// net/http quotes what it could not parse, which may be our own request.
		e.cause, e.transient = errors.New("the answer is not HTTP"), true
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
		e.cause = errors.New(tokenText(err.Error()) + tokenAnswer(refused.RawResponse))
	case isNoCredential(err):
		e.Hint, e.cause = noToken, errors.New(tokenText(err.Error()))
	case errors.As(err, &missing) && missing.IsNotFound:
		e.Hint = "the account does not exist: check its name"
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &record):
		e.Hint = "the server's certificate is not trusted: check the address, and the certificates of proxies"
	case errors.As(err, &line), isCut(err):
		e.transient = true
	}
}
