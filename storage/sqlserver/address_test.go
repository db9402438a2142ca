package sqlserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

const secret = "S3cret-pass;w=ord"

func TestAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		address    string
		encryption msdsn.Encryption
		trust      bool
		place      string
	}{
		"remote": {"sqlserver://u:p@db.example.org?database=H", msdsn.EncryptionRequired, false,
			`"H" on db.example.org`},
		"remote, trusted": {"sqlserver://u:p@db.example.org?database=H&trustservercertificate=true",
			msdsn.EncryptionRequired, true, `"H" on db.example.org`},
		"remote, unencrypted": {"sqlserver://u:p@db.example.org?database=H&encrypt=disable", msdsn.EncryptionDisabled,
			false, `"H" on db.example.org`},
		"strict": {"sqlserver://u:p@db.example.org?database=H&encrypt=strict", msdsn.EncryptionStrict,
			false, `"H" on db.example.org`},
		"loopback": {"sqlserver://u:p@127.0.0.1:1433?database=H", msdsn.EncryptionOff, true,
			`"H" on 127.0.0.1:1433`},
		"loopback by name": {"sqlserver://localhost/SQLEXPRESS?database=H", msdsn.EncryptionOff, true,
			`"H" on localhost\SQLEXPRESS`},
		"named instance": {"sqlserver://u:p@host/PROD?database=H", msdsn.EncryptionRequired, false,
			`"H" on host\PROD`},
		"list": {"server=host;user id=u;password=p;database=H", msdsn.EncryptionRequired, false,
			`"H" on host`},
		"ODBC": {"odbc:server=host;user id=u;password={p};database=H", msdsn.EncryptionRequired, false,
			`"H" on host`},
		"Entra": {"azuresql://x.database.windows.net?database=H", msdsn.EncryptionRequired, false,
			`"H" on x.database.windows.net`},
		"Entra, managed": {"sqlserver://x.database.windows.net?database=H&fedauth=ActiveDirectoryManagedIdentity",
			msdsn.EncryptionRequired, false, `"H" on x.database.windows.net`},
		"Windows integrated": {"sqlserver://host?database=H", msdsn.EncryptionRequired, false, `"H" on host`},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := parseAddress(c.address, Settings{})
			if err != nil {
				t.Fatal(err)
			}
			config, err := msdsn.Parse(a.dsn)
			if err != nil {
				t.Fatal(err)
			}
			if config.Encryption != c.encryption || config.TrustServerCertificate != c.trust || a.name != c.place ||
				!config.DisableRetry || config.AppName != "ingest" {
				t.Errorf("encryption %d, trust %t, place %s", config.Encryption, config.TrustServerCertificate, a.name)
			}
			if strings.HasPrefix(c.address, "azuresql") && config.Parameters["fedauth"] == "" {
				t.Error("fedauth is not set")
			}
			db, err := a.patient()
			if err != nil {
				t.Fatal(err)
			}
			db.Close()
		})
	}
}

func TestIsAddress(t *testing.T) {
	for address, want := range map[string]bool{
		"sqlserver://host?database=H": true, "AzureSQL://host?database=H": true, "odbc:server=host;database=H": true,
		"server=host;database=H": true, "User ID=u;Data Source=host;database=H": true,
		"database=H; Server = host": true, "addr=host;database=H": true,
		"": false, "sqlite:server.db": false, "/srv/server=1/catalog.db": false, `C:\data\server.db`: false,
		"sqlite:/a;b/c": false, "database=H": false,
	} {
		if got := IsAddress(address); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
}

// A timeout in the address does not apply to statements that may take an hour.
func TestTimeouts(t *testing.T) {
	for name, c := range map[string]struct {
		address        string
		stall          time.Duration
		usual, patient time.Duration
	}{
		"default":    {"sqlserver://u:p@host?database=H", 0, time.Minute, time.Hour},
		"a setting":  {"sqlserver://u:p@host?database=H", 5 * time.Minute, 5 * time.Minute, time.Hour},
		"in the URL": {"sqlserver://u:p@host?database=H&connection+timeout=30", 0, 30 * time.Second, time.Hour},
		"another case": {"sqlserver://u:p@host?database=H&Connection+Timeout=30", 5 * time.Minute, 30 * time.Second,
			time.Hour},
		"two hours": {"sqlserver://u:p@host?database=H&connection+timeout=7200", 0, 2 * time.Hour,
			2 * time.Hour},
		"as in .NET": {"Data Source=host;Connect Timeout=30;Initial Catalog=H;User ID=u;Password=p", 0,
			30 * time.Second, time.Hour},
		"first in a list": {"timeout = 30;server=host;database=H;user id=u;password=p", 0, 30 * time.Second,
			time.Hour},
		"ODBC": {"odbc:server=host;database=H;user id=u;password={p};connection timeout=30", 0,
			30 * time.Second, time.Hour},
		"none": {"sqlserver://u:p@host?database=H&connection+timeout=0", 0, time.Minute, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := parseAddress(c.address, Settings{Stall: c.stall})
			if err != nil {
				t.Fatal(err)
			}
			for stall, want := range map[time.Duration]time.Duration{a.stall: c.usual,
				max(a.stall, time.Hour): c.patient} {
				config, err := msdsn.Parse(a.withStall(stall))
				if err != nil || config.ConnTimeout != want || config.Database != "H" || config.User != "u" ||
					config.Password != "p" {
					t.Errorf("timeout is %s, want %s: %v", config.ConnTimeout, want, err)
				}
			}
		})
	}
}

func TestPasswordSources(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{"URL": "sqlserver://u@host?database=H",
		"list": "server=host;user id=u;database=H",
		"ODBC": "odbc:server=host;user id=u;database=H", "query": "sqlserver://host?database=H&user+id=u"} {
		for source, set := range map[string]func(t *testing.T) Settings{
			"variable": func(t *testing.T) Settings { t.Setenv(PasswordVariable, secret); return Settings{} },
			"file":     func(t *testing.T) Settings { t.Setenv(PasswordFileVariable, file); return Settings{} },
			"settings": func(*testing.T) Settings { return Settings{Password: secret} },
		} {
			t.Run(name+"/"+source, func(t *testing.T) {
				a, err := parseAddress(address, set(t))
				if err != nil {
					t.Fatal(err)
				}
				config, err := msdsn.Parse(a.dsn)
				if err != nil || config.Password != secret || config.User != "u" || config.Database != "H" {
					t.Errorf("user %q, database %q, password is right: %t, %v", config.User, config.Database,
						config.Password == secret, err)
				}
			})
		}
	}
	t.Run("an address without a user", func(t *testing.T) {
		a, err := parseAddress("sqlserver://host?database=H", Settings{Password: secret})
		if err != nil || strings.Contains(a.dsn, "S3cret") {
			t.Errorf("the password was added to an address without a user: %v", err)
		}
	})
}

// No error message contains the password.
func TestPasswordIsNeverShown(t *testing.T) {
	d := newDouble(t)
	host := d.Addr()
	pass := "S3cret-pass"
	fail := func(number int32) func(*testing.T) error {
		return func(t *testing.T) error {
			one := newDouble(t)
			one.Inject(tdstest.Fault{At: tdstest.AtLogin, Times: -1, Do: tdstest.Fail(tdstest.Err(number))})
			_, err := Open(t.Context(), strings.Replace(one.DSN(), "Dev-Only-1", pass, 1), Settings{})
			return err
		}
	}
	opening := func(address string) func(*testing.T) error {
		return func(t *testing.T) error {
			_, err := Open(t.Context(), address, Settings{Retry: storage.Policy{Attempts: 1}})
			return err
		}
	}
	for name, try := range map[string]func(*testing.T) error{
		"no URL":             opening("sqlserver://u:" + pass + "@host:99999999?database=H"),
		"a slash":            opening("sqlserver://u:123/" + pass + "@host?database=H"),
		"a broken escape":    opening("sqlserver://u:" + pass + "%zz@host?database=H"),
		"no database":        opening("sqlserver://u:" + pass + "@host"),
		"a setting twice":    opening("sqlserver://u:" + pass + "@host?database=H&database=I"),
		"a broken setting":   opening("sqlserver://u:" + pass + "@host?database=H&connection+timeout=" + pass),
		"broken encryption":  opening("sqlserver://u:" + pass + "@host?database=H&encrypt=" + pass),
		"a list":             opening("server=host;password=" + pass),
		"ODBC":               opening("odbc:server={host;password=" + pass),
		"nothing listens":    opening("sqlserver://u:" + pass + "@127.0.0.1:1?database=H"),
		"no such host":       opening("sqlserver://u:" + pass + "@does-not-exist.invalid?database=H&dial+timeout=2"),
		"no encryption":      opening("sqlserver://u:" + pass + "@" + host + "?database=H&encrypt=true"),
		"Entra, wrong way":   opening("azuresql://u:" + pass + "@host?database=H&fedauth=" + pass),
		"login refused":      fail(18456),
		"database not there": fail(4060),
	} {
		t.Run(name, func(t *testing.T) {
			err := try(t)
			if err == nil {
				t.Fatal("Open succeeded")
			}
			for _, shown := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
				if strings.Contains(shown, "S3cret") {
					t.Errorf("password in %s", shown)
				}
			}
		})
	}
}

func TestTransientErrors(t *testing.T) {
	c := &engine{name: "x"}
	for _, one := range []struct {
		err  error
		want bool
	}{
		{mssql.Error{Number: 1205, Class: 13}, true},
		{mssql.Error{Number: 40501, Class: 16}, true},
		{mssql.Error{Number: 701, Class: 17}, true},
		{mssql.Error{Number: 8645, Class: 17}, true},
		{mssql.Error{Number: 7139, Class: 16}, false},
		{mssql.Error{Number: 2627, Class: 14}, true},
		{mssql.Error{Number: 547, Class: 16}, false},
		{mssql.Error{Number: 229, Class: 14}, false},
		{mssql.Error{Number: 9002, Class: 17}, false},
		{mssql.Error{Number: 596, Class: 21}, true}, // the session was killed
		{mssql.Error{Message: "no active transaction"}, true},
		{context.Canceled, false},
		{errors.New("else"), false},
		{sqlcatalog.RaceError("x"), true},
	} {
		if got := storage.IsTransient(c.explain(one.err)); got != one.want {
			t.Errorf("%v: transient is %t, want %t", one.err, got, one.want)
		}
	}
	moving := mssql.Error{Number: 4060, Class: 11}
	if storage.IsTransient(c.explain(moving)) || !storage.IsTransient((&engine{ready: true}).explain(moving)) {
		t.Error("error 4060 must be transient if and only if the database has been open before")
	}
	var f *fault
	if err := c.explain(mssql.Error{Number: 40501}); !errors.As(err, &f) || f.RetryAfter() == 0 {
		t.Error("no Retry-After for a throttled server")
	}
}

// A connection error says what the address lacks for a login.
func TestMissingLoginIsReported(t *testing.T) {
	t.Setenv(PasswordVariable, "")
	t.Setenv(PasswordFileVariable, "")
	for address, want := range map[string]string{
		"sqlserver://somebody@127.0.0.1:1?database=d": "no password was given for user " +
			"somebody",
		"sqlserver://somebody:secret@127.0.0.1:1?database=d":                         "",
		"sqlserver://somebody@127.0.0.1:1?database=d&fedauth=ActiveDirectoryDefault": "",
	} {
		a, err := parseAddress(address, Settings{})
		if err != nil {
			t.Fatal(err)
		}
		if want == "" && a.login != "" || !strings.HasPrefix(a.login, want) {
			t.Errorf("%s: %q, want %q", address, a.login, want)
		}
	}
	if _, err := Open(t.Context(), "sqlserver://somebody@127.0.0.1:1?database=d&dial+timeout=1",
		Settings{}); err == nil || !strings.Contains(err.Error(), PasswordVariable) {
		t.Errorf("error is %v", err)
	}
}
