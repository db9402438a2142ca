package tdstest_test

import (
	"database/sql"
	"net/url"
	"strings"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"
	_ "github.com/microsoft/go-mssqldb/integratedauth/ntlm"

	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

func TestLogin(t *testing.T) {
	srv, db := start(t, "app name", "ingest ü", "packet size", "8192", "database", "Other", "applicationintent",
		"ReadOnly")
	must(t, db.PingContext(t.Context()))
	got := srv.Logins()
	if len(got) != 1 {
		t.Fatalf("%d logins", len(got))
	}
	got[0].Host = ""
	want := tdstest.Login{User: "sa", Password: "Dev-Only-1", Database: "Other", App: "ingest ü",
		Server: "127.0.0.1", ReadOnly: true, PacketSize: 8192}
	if got[0] != want {
		t.Errorf("login %+v, want %+v", got[0], want)
	}
}

func TestIntegratedLogin(t *testing.T) {
	srv := tdstest.Start(t)
	address, err := url.Parse(srv.DSN("authenticator", "ntlm"))
	must(t, err)
	address.User = url.UserPassword(`DOMAIN\user`, "secret")
	db, err := sql.Open("sqlserver", address.String())
	must(t, err)
	defer db.Close()
	must(t, db.PingContext(t.Context()))
	if logins := srv.Logins(); len(logins) != 1 || !logins[0].Integrated || logins[0].User != "" {
		t.Errorf("logins %+v", logins)
	}
}

func TestLoginRefused(t *testing.T) {
	srv, db := start(t)
	refusal := srv.Inject(tdstest.Fault{At: tdstest.AtLogin, Match: "hartonomous", Do: tdstest.Fail(tdstest.Err(4060))})
	wantNumber(t, db.PingContext(t.Context()), 4060)
	if refusal.Fired() != 1 {
		t.Errorf("fired %d times", refusal.Fired())
	}
	must(t, db.PingContext(t.Context()))
}

// TestEncryptionAsked checks that a client which requires encryption does not connect without it.
func TestEncryptionAsked(t *testing.T) {
	_, db := start(t, "encrypt", "true")
	if err := db.PingContext(t.Context()); err == nil || !strings.Contains(err.Error(), "encrypt") {
		t.Errorf("error %v", err)
	}
}

func TestDSN(t *testing.T) {
	srv := tdstest.Start(t)
	address, err := url.Parse(srv.DSN("connection timeout", "5"))
	must(t, err)
	if address.Host != srv.Addr() || address.Query().Get("connection timeout") != "5" ||
		address.Query().Get("encrypt") != "disable" {
		t.Errorf("address %s", address)
	}
	if _, err := mssql.NewConnector(address.String()); err != nil {
		t.Error(err)
	}
}
