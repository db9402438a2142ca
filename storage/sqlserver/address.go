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

// The environment that may hold the password, or name the file that does.
const (
	passwordVariable     = "INGEST_CATALOG_PASSWORD"
	passwordFileVariable = "INGEST_CATALOG_PASSWORD_FILE"
)

// address is where a database is and how to log in. It is never printed but for its name.
type address struct {
	dsn    string
	name   string
	params map[string]string
	// silence is how long the server may say nothing in the midst of a statement.
	silence time.Duration
	// integrated says that the login is the one that the program runs under.
	integrated bool
	// login is what to say of the login where the server cannot be had; empty where the address says all of it.
	login string
}

// IsAddress reports whether text is meant as the address of a SQL Server: a URL, or a list of name=value
// as go-mssqldb takes it.
func IsAddress(text string) bool {
	text = strings.ToLower(text)
	for _, scheme := range []string{"sqlserver:", "azuresql:", "odbc:"} {
		if strings.HasPrefix(text, scheme) {
			return true
		}
	}
	return serverInList.MatchString(text)
}

// serverInList is how a list of name=value says which server is meant.
var serverInList = regexp.MustCompile(`(^|;)\s*(server|data source|address|addr|network address)\s*=`)

// errAddress says what is wrong without showing any of it: what could not be parsed may
// hold a password anywhere.
var errAddress = errors.New("the catalogue's address cannot be read: want " +
	"sqlserver://USER@HOST/INSTANCE?database=NAME (in a password / is %2F, @ is %40, ? is %3F), or a list of " +
	"name=value as go-mssqldb takes it")

// misread reports whether a URL was taken apart in the wrong place: a password with a slash in it ends the
// host for the parser,
// and what follows, a part of the password, would be taken for an instance, and shown.
func misread(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "sqlserver" && strings.Contains(u.Path, "@")
}

// parseAddress reads an address and completes it: encryption, timeouts, password.
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
	a := &address{dsn: text, params: config.Parameters, silence: time.Minute}
	if _, said := a.params[msdsn.ConnectionTimeout]; said && config.ConnTimeout > 0 {
		a.silence = config.ConnTimeout
	} else if settings.Stall > 0 {
		a.silence = settings.Stall
	}
	if config.Host == "" && config.Parameters[msdsn.Server] == "" {
		return nil, errAddress
	}
	if config.Database == "" {
		return nil, fmt.Errorf("the catalogue's address names no database: add database=NAME")
	}
	a.name = place(&config)
	a.integrated = config.User == "" && config.Parameters["fedauth"] == ""
	if err := a.addPassword(&config, settings); err != nil {
		return nil, err
	}
	// go-mssqldb encrypts the login alone, and trusts any certificate, if nothing is said.
	if !loopback(config.Host) {
		a.setDefault(msdsn.Encrypt, "true")
	}
	a.setDefault(msdsn.AppName, "ingest")
	a.setDefault(msdsn.DialTimeout, "15")
	// The driver's own way of trying again: storage.Do is the only one here.
	a.setDefault(msdsn.DisableRetry, "true")
	return a, nil
}

// place names a database for messages.
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

// addPassword completes an address that has a user and no password. Without a user,
// or with Microsoft Entra's ways that need none, there is nothing to complete.
func (a *address) addPassword(config *msdsn.Config, settings Settings) error {
	if a.integrated && runtime.GOOS != "windows" {
		a.login = "no user was given, and a login of Windows is not to be had here: " +
			"sqlserver://USER@HOST?database=NAME, and the password in " + passwordVariable
	}
	if config.User == "" || config.Password != "" {
		return nil
	}
	password := settings.Password
	if password == "" {
		password = os.Getenv(passwordVariable)
	}
	if file := os.Getenv(passwordFileVariable); password == "" && file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("%s: %w", passwordFileVariable, err)
		}
		password = strings.TrimRight(string(text), "\r\n")
	}
	if password != "" {
		a.dsn = withPassword(a.dsn, password)
	} else if config.Parameters["fedauth"] == "" {
		a.login = "no password was given for user " + config.User + ": put it into " + passwordVariable +
			", or into a file that " + passwordFileVariable + " names"
	}
	return nil
}

// setDefault says something that the address does not say.
func (a *address) setDefault(key, value string) {
	if _, said := a.params[key]; !said {
		a.dsn = with(a.dsn, key, value)
	}
}

// with adds a setting to an address, in the form that the address has. The values that are
// added here need no quoting.
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

// silent is the address with a connection timeout.
func (a *address) silent(silence time.Duration) string {
	dsn := a.dsn
	if _, said := a.params[msdsn.ConnectionTimeout]; said {
		dsn = withoutTimeout(dsn)
	}
	return with(dsn, msdsn.ConnectionTimeout, strconv.Itoa(int(max(silence.Round(time.Second), time.Second).Seconds())))
}

// timeoutInList is what go-mssqldb takes for a connection timeout in a list of name=value.
var timeoutInList = regexp.MustCompile(`(?i)(^|;)\s*(connection timeout|connect timeout|timeout)\s*=[^;]*`)

// withoutTimeout removes from an address what it says of the connection timeout.
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

// sessionSettings hold for each session. NOCOUNT: the server may be set to report no numbers of rows, which we
// live by. XACT_ABORT: an error ends the transaction, and
// never a part of it. LOCK_TIMEOUT: who waits for half a minute is told (error 1222),
// and tries again. DEADLOCK_PRIORITY: of two that block each other it is we who lose, for we
// try again, and the other application may not.
const sessionSettings = `/* ingest: session */ SET NOCOUNT OFF; SET XACT_ABORT ON; SET LOCK_TIMEOUT 30000; SET DEADLOCK_PRIORITY LOW;`

// patience is how long the server may be silent in statements that may take an hour. What the address says
// of a timeout is
// not meant for them: where .NET reads it, it is for logging in.
func (a *address) patience() time.Duration { return max(a.silence, time.Hour) }

// patient is a pool of one connection for such statements.
func (a *address) patient() (*sql.DB, error) { return a.open(1, a.patience()) }

func (a *address) open(n int, silence time.Duration) (*sql.DB, error) {
	connector, err := azuread.NewConnector(a.silent(silence))
	if err != nil {
		return nil, errAddress
	}
	connector.SessionInitSQL = sessionSettings
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	// A gateway may drop what has been idle for long without a word.
	db.SetConnMaxIdleTime(4 * time.Minute)
	return db, nil
}
