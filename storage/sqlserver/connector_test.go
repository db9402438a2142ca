package sqlserver

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// TestLoginEndsWithContext: a server that accepts a connection and never answers does not hold up an
// interrupt.
func TestLoginEndsWithContext(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		conn, err := silent.Accept()
		if err == nil {
			defer conn.Close()
			time.Sleep(50 * time.Millisecond) // the login has begun, or begins without a server
		}
		cancel(stopped)
	}()
	if _, err := Open(ctx, "sqlserver://u:p@"+silent.Addr().String()+"?database=d", Settings{}); !errors.Is(err,
		context.Canceled) && !errors.Is(err, stopped) {
		t.Errorf("%v, want the end of the context", err)
	}
}

// TestUnknownParameter: a misspelt parameter is refused by its name, unless it may be part of a password.
func TestUnknownParameter(t *testing.T) {
	for address, want := range map[string]string{
		"sqlserver://u:p@host?database=d&foo=1":                           `unknown parameter "foo"`,
		"sqlserver://u:p@host?database=d&encrpyt=true":                    `unknown parameter "encrpyt"`,
		"azuresql://host?database=d&fedaut=x":                             `unknown parameter "fedaut"`,
		"sqlserver://u:1?S3cret&more@host?database=d":                     "address is invalid",
		"sqlserver://u:p@host?database=d&S3cret%21=1":                     "address is invalid",
		"sqlserver://u:p@host?Database=d&Connection+Timeout=3&TLSMin=1.2": "",
		"server=host;user id=u;password=p;database=d;pooling=true":        "",
	} {
		_, err := parseAddress(address, Settings{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "S3cret")) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}
