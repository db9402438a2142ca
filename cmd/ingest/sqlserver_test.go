package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/sqlserver"
)

// engineVariable names a server on which tests make databases of their own, and drop them.
const engineVariable = "INGEST_TEST_SQLSERVER"

// serverAddress returns that server's address. Without one the test is skipped.
func serverAddress(t testing.TB) *url.URL {
	t.Helper()
	text := os.Getenv(engineVariable)
	if text == "" {
		t.Skipf("no SQL Server: set %s to the address of one (its database is left as it is)", engineVariable)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "sqlserver" {
		t.Fatalf("%s: want sqlserver://USER:PASSWORD@HOST?database=NAME", engineVariable)
	}
	return u
}

// server is a database of one test on a SQL Server. It implements database.
type server struct {
	url      *url.URL // without the password
	password string
	name     string
	admin    *sql.DB // in another database there
	own      *sql.DB
}

// newServer makes a database without tables, which is there until the test ends.
func newServer(t testing.TB) *server {
	t.Helper()
	u := serverAddress(t)
	password, _ := u.User.Password()
	s := &server{url: u, password: password, name: "ingest_test_" + strings.ToLower(rand.Text()[:12])}
	var err error
	if s.admin, err = sqlserver.OpenSchema(u.String(), sqlserver.Settings{}); err != nil {
		t.Fatal(err)
	}
	u.User = url.User(u.User.Username())
	s.url = s.at(u.Host, s.name)
	if s.own, err = sqlserver.OpenSchema(s.address(), sqlserver.Settings{Password: password}); err != nil {
		t.Fatal(err)
	}
	if err := s.insist(`CREATE DATABASE ` + s.name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.own.Close()
		if err := s.insist(`DROP DATABASE ` + s.name); err != nil {
			t.Error(err)
		}
		s.admin.Close()
	})
	return s
}

// at is the address with another host and database.
func (s *server) at(host, database string) *url.URL {
	u := *s.url
	query := u.Query()
	query.Set("database", database)
	u.Host, u.RawQuery = host, query.Encode()
	return &u
}

// insist tries for a while. Connections to a database that is dropped may be there still, and Babelfish fails where two
// make a database at once.
func (s *server) insist(query string) (err error) {
	for range 100 {
		if _, err = s.admin.Exec(query); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

func (s *server) address() string { return s.url.String() }

func (s *server) env() []string {
	return []string{"INGEST_CATALOG=" + s.address(), "INGEST_CATALOG_PASSWORD=" + s.password}
}

func (s *server) open(ctx context.Context) (catalogue, error) {
	return sqlserver.Open(ctx, s.address(), sqlserver.Settings{Password: s.password})
}

// clear leaves the tables, which it makes if they are not there.
func (s *server) clear() error {
	if _, err := schema.Apply(context.Background(), s.own); err != nil {
		return err
	}
	for _, table := range []string{"ModelNameFiles", "Models", "ModelMerges", "IngestionJobAtoms", "IngestionJobs",
		"Atoms"} {
		if _, err := s.own.Exec(`DELETE FROM dbo.` + table); err != nil {
			return err
		}
	}
	return nil
}

// written leaves jobs out: the row of one is long there when the first batch comes.
func (s *server) written() string {
	var atoms, bytes int64
	err := s.own.QueryRow(`SELECT (SELECT COUNT(*) FROM dbo.Atoms),
		(SELECT COALESCE(SUM(RecordedBytes), 0) FROM dbo.ModelFiles)`).Scan(&atoms, &bytes)
	return fmt.Sprint(atoms, bytes, err)
}

// outlive waits for the server, which carries out what it was sent before it sees that the sender is gone. That
// may be a commit.
func (s *server) outlive(ctx context.Context, process int) error {
	for range 6000 {
		var sessions int
		err := s.admin.QueryRowContext(ctx,
			`SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE host_process_id = @p1 AND program_name = N'ingest'`,
			process).Scan(&sessions)
		if err != nil || sessions == 0 {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("the server still works for process %d, which is gone", process)
}

// TestServerScripts runs what a user types who has a SQL Server: testdata/sqlserver/*.txt, each with an empty
// database. The password is in the environment alone.
func TestServerScripts(t *testing.T) {
	serverAddress(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "sqlserver"),
		Setup: func(env *testscript.Env) error {
			s := newServer(env.T().(testing.TB))
			env.Values["password"] = s.password
			env.Vars = append(env.Vars, s.env()...)
			env.Setenv("INGEST_STORE", "dir:"+filepath.Join(env.WorkDir, "store"))
			env.Setenv("database", s.name)
			env.Setenv("misnamed", s.at(s.url.Host, s.name+"_x").String())
			env.Setenv("GORACE", "atexit_sleep_ms=0") // the detector sleeps for a second at each end
			nobody, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Setenv("unheard", s.at(nobody.Addr().String(), s.name).String())
			return errors.Join(nobody.Close(), os.WriteFile(filepath.Join(env.WorkDir, "password"),
				[]byte(s.password+"\n"), 0o600))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"block":  cmdBlock,
			"exits":  cmdExits,
			"gguf":   cmdGGUF,
			"json":   cmdJSON,
			"same":   cmdSame,
			"secret": cmdSecret,
			"stray":  cmdStray,
		},
	})
}

// cmdSecret asks that the last command has not printed the password.
func cmdSecret(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: secret")
	}
	password := ts.Value("password").(string)
	if password != "" && strings.Contains(ts.ReadFile("stdout")+ts.ReadFile("stderr"), password) {
		ts.Fatalf("it has printed the password")
	}
}
