package sqlserver

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/microsoft/go-mssqldb/azuread"
	"github.com/microsoft/go-mssqldb/msdsn"
)

// Environment variables of an address without a password: the password, or the name of a file that contains it.
const (
	PasswordVariable     = "INGEST_CATALOG_PASSWORD"
	PasswordFileVariable = "INGEST_CATALOG_PASSWORD_FILE"
)

// address is a database's address and login. Only its name is ever printed.
type address struct {
	dsn    string
	name   string
	params map[string]string
	// stall is how long the server may send nothing during a statement.
	stall time.Duration
	// integrated is set for Windows authentication.
	integrated bool
	// login is added to connection errors: what the address lacks for a login; empty if nothing.
	login string
}

// IsAddress reports whether text looks like the address of a SQL Server: a URL, or a name=value
// list as in go-mssqldb.
func IsAddress(text string) bool {
	text = strings.ToLower(text)
	for _, scheme := range []string{"sqlserver:", "azuresql:", "odbc:"} {
		if strings.HasPrefix(text, scheme) {
			return true
		}
	}
	return serverInList.MatchString(text)
}

// serverInList matches the server in a name=value list.
var serverInList = regexp.MustCompile(`(^|;)\s*(server|data source|address|addr|network address)\s*=`)

// errAddress does not quote the address: if it cannot be parsed, the password may be anywhere in
// it.
var errAddress = errors.New("the catalogue's address is invalid: want " +
	"sqlserver://USER@HOST/INSTANCE?database=NAME (in a password, write / as %2F, @ as %40, ? as %3F), or a list of " +
	"name=value as in go-mssqldb")

// misread reports whether a URL was split in the wrong place: to the parser, a slash in the
// password ends the host, and the rest of the password is the instance, which is printed.
func misread(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "sqlserver" && strings.Contains(u.Path, "@")
}

// CheckAddress returns an error if Open cannot parse an address, or if it names no database.
func CheckAddress(text string) error {
	_, err := parseAddress(text, Settings{Password: "not read"}) // nor from a file
	return err
}

// parseAddress parses an address and adds encryption, timeouts and password.
func parseAddress(text string, settings Settings) (*address, error) {
	if rest, ok := strings.CutPrefix(text, "azuresql://"); ok {
		text = "sqlserver://" + rest
		if config, err := msdsn.Parse(text); err == nil && config.Parameters["fedauth"] == "" {
			text = with(text, "fedauth", azuread.ActiveDirectoryDefault)
		}
	}
	config, err := msdsn.Parse(text)
	if err != nil || misread(text) {
		return nil, errAddress
	}
	if err := checkParameters(text); err != nil {
		return nil, err
	}
	a := &address{dsn: text, params: config.Parameters, stall: time.Minute}
	if _, said := a.params[msdsn.ConnectionTimeout]; said && config.ConnTimeout > 0 {
		a.stall = config.ConnTimeout
	} else if settings.Stall > 0 {
		a.stall = settings.Stall
	}
	if config.Host == "" && config.Parameters[msdsn.Server] == "" {
		return nil, errAddress
	}
	if config.Database == "" {
		return nil, errors.New("the catalogue's address names no database: add database=NAME")
	}
	a.name = place(&config)
	a.integrated = config.User == "" && config.Parameters["fedauth"] == ""
	if err := a.addPassword(&config, settings); err != nil {
		return nil, err
	}
	// By default, go-mssqldb encrypts only the login and trusts any certificate.
	if !loopback(config.Host) {
		a.setDefault(msdsn.Encrypt, "true")
	}
	a.setDefault(msdsn.AppName, "ingest")
	a.setDefault(msdsn.DialTimeout, "15")
	// storage.Do is the only retry loop.
	a.setDefault(msdsn.DisableRetry, "true")
	return a, nil
}

// place returns the name of a database for messages.
func place(config *msdsn.Config) string {
	host := config.Host
	if host == "" {
		host = config.Parameters[msdsn.Server]
	}
	if config.Instance != "" {
		host += `\` + config.Instance
	}
	if config.Port != 0 {
		host += ":" + strconv.FormatUint(config.Port, 10)
	}
	return fmt.Sprintf("%q on %s", config.Database, host)
}

func loopback(host string) bool {
	switch strings.ToLower(host) {
	case "localhost", ".", "(local)", "(localdb)":
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}

// addPassword adds the password to an address with a user and no password.
func (a *address) addPassword(config *msdsn.Config, settings Settings) error {
	if a.integrated && runtime.GOOS != "windows" {
		a.login = "no user was given, and Windows authentication is only available on Windows: use " +
			"sqlserver://USER@HOST?database=NAME, and the password in " + PasswordVariable
	}
	if config.User == "" || config.Password != "" {
		return nil
	}
	password := settings.Password
	if password == "" {
		password = os.Getenv(PasswordVariable)
	}
	if file := os.Getenv(PasswordFileVariable); password == "" && file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("%s: %w", PasswordFileVariable, err)
		}
		password = strings.TrimRight(string(text), "\r\n")
	}
	if password != "" {
		a.dsn = withPassword(a.dsn, password)
	} else if config.Parameters["fedauth"] == "" {
		a.login = "no password was given for user " + config.User + ": set " + PasswordVariable +
			", or " + PasswordFileVariable + " to the name of a file"
	}
	return nil
}

// setDefault adds a setting that the address does not have.
func (a *address) setDefault(key, value string) {
	if _, said := a.params[key]; !said {
		a.dsn = with(a.dsn, key, value)
	}
}

// with adds a setting to an address of either form. The value must not need quoting.
func with(dsn, key, value string) string {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "sqlserver" {
		return strings.TrimRight(dsn, "; ") + ";" + key + "=" + value
	}
	query := u.Query()
	query.Set(key, value)
	u.RawQuery = query.Encode()
	return u.String()
}

// withStall returns the address with a connection timeout.
func (a *address) withStall(stall time.Duration) string {
	dsn := a.dsn
	if _, said := a.params[msdsn.ConnectionTimeout]; said {
		dsn = withoutTimeout(dsn)
	}
	return with(dsn, msdsn.ConnectionTimeout, strconv.Itoa(int(max(stall.Round(time.Second), time.Second).Seconds())))
}

// timeoutInList matches a connection timeout in a name=value list.
var timeoutInList = regexp.MustCompile(`(?i)(^|;)\s*(connection timeout|connect timeout|timeout)\s*=[^;]*`)

// withoutTimeout removes the connection timeout from an address.
func withoutTimeout(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "sqlserver" {
		return strings.TrimLeft(timeoutInList.ReplaceAllString(dsn, ""), ";")
	}
	query := u.Query()
	for key := range query {
		if timeoutInList.MatchString(key + "=") {
			query.Del(key)
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}

func withPassword(dsn, password string) string {
	switch u, err := url.Parse(dsn); {
	case err == nil && u.Scheme == "sqlserver" && u.User != nil:
		u.User = url.UserPassword(u.User.Username(), password)
		return u.String()
	case err == nil && u.Scheme == "sqlserver":
		return with(dsn, msdsn.Password, password)
	case strings.HasPrefix(dsn, "odbc:"):
		return strings.TrimRight(dsn, "; ") + ";password={" + strings.ReplaceAll(password, "}", "}}") + "}"
	}
	return strings.TrimRight(dsn, "; ") + `;password="` + strings.ReplaceAll(password, `"`, `""`) + `"`
}

// sessionSettings apply to each session.
//   - NOCOUNT: we need row counts, which the server may be configured to omit.
//   - XACT_ABORT: an error rolls back the whole transaction.
//   - LOCK_TIMEOUT: a wait for a lock fails after half a minute (error 1222), and is retried.
//   - DEADLOCK_PRIORITY: we are the victim of a deadlock: we retry, other programs may not.
const sessionSettings = `/* ingest: session */ SET NOCOUNT OFF; SET XACT_ABORT ON; SET LOCK_TIMEOUT 30000;
SET DEADLOCK_PRIORITY LOW;`

// longStall is how long the server may send nothing during statements that may take an hour. A
// timeout in the address is not meant for them: .NET applies it to the login.
func (a *address) longStall() time.Duration { return max(a.stall, time.Hour) }

// patient opens a pool of one connection for such statements.
func (a *address) patient() (*sql.DB, error) { return a.open(1, a.longStall()) }

func (a *address) open(n int, stall time.Duration) (*sql.DB, error) {
	opened, err := azuread.NewConnector(a.withStall(stall))
	if err != nil {
		return nil, errAddress
	}
	opened.SessionInitSQL = sessionSettings
	db := sql.OpenDB(connector{opened})
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	// A gateway may silently drop connections that are idle for long.
	db.SetConnMaxIdleTime(4 * time.Minute)
	return db, nil
}
