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

// serverVariable has the address of a server on which tests create and drop databases.
const serverVariable = "INGEST_TEST_SQLSERVER"

// serverAddress returns that address, or skips the test.
func serverAddress(t testing.TB) *url.URL {
	t.Helper()
	text := os.Getenv(serverVariable)
	if text == "" {
		t.Skipf("no SQL Server: set %s to the address of one (its database is left as it is)", serverVariable)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "sqlserver" {
		t.Fatalf("%s: want sqlserver://USER:PASSWORD@HOST?database=NAME", serverVariable)
	}
	return u
}

// server is a database of one test on a SQL Server.
type server struct {
	url      *url.URL // without the password
	password string
	name     string
	admin    *sql.DB // connected to another database
	own      *sql.DB
}

// newServer creates a database without tables, and drops it when the test ends.
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
	if err := s.retryExec(`CREATE DATABASE ` + s.name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.own.Close()
		if err := s.retryExec(`DROP DATABASE ` + s.name); err != nil {
			t.Error(err)
		}
		s.admin.Close()
	})
	return s
}

// at returns the address with another host and database.
func (s *server) at(host, database string) *url.URL {
	u := *s.url
	query := u.Query()
	query.Set("database", database)
	u.Host, u.RawQuery = host, query.Encode()
	return &u
}

// retryExec retries for ten seconds. A database to drop may still have connections, and Babelfish
// fails if two clients create databases at the same time.
func (s *server) retryExec(query string) (err error) {
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

// clear keeps the tables, and creates them if they do not exist.
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

// version ignores jobs: a job's row exists long before its first batch.
func (s *server) version() string {
	var atoms, bytes int64
	err := s.own.QueryRow(`SELECT (SELECT COUNT(*) FROM dbo.Atoms),
		(SELECT COALESCE(SUM(RecordedBytes), 0) FROM dbo.ModelFiles)`).Scan(&atoms, &bytes)
	return fmt.Sprint(atoms, bytes, err)
}

// drain waits for the server, which executes received requests before it notices the lost client.
func (s *server) drain(ctx context.Context, process int) error {
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
	return fmt.Errorf("the server still has a session of process %d, which has ended", process)
}

// TestServerScripts runs command lines of users with a SQL Server: testdata/sqlserver/*.txt, each
// with an empty database. The password is only in the environment.
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
			env.Setenv("GORACE", "atexit_sleep_ms=0") // by default the race detector delays each exit by a second
			nobody, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Setenv("unreachable", s.at(nobody.Addr().String(), s.name).String())
			return errors.Join(nobody.Close(), os.WriteFile(filepath.Join(env.WorkDir, "password"),
				[]byte(s.password+"\n"), 0o600))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"block":   cmdBlock,
			"exits":   cmdExits,
			"gguf":    cmdGGUF,
			"json":    cmdJSON,
			"same":    cmdSame,
			"secret":  cmdSecret,
			"garbage": cmdGarbage,
		},
	})
}

// cmdSecret checks that the last command has not printed the password: secret
func cmdSecret(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: secret")
	}
	password := ts.Value("password").(string)
	if password != "" && strings.Contains(ts.ReadFile("stdout")+ts.ReadFile("stderr"), password) {
		ts.Fatalf("the output contains the password")
	}
}

// editions are the columns that the editions of Atoms have in addition.
var editions = map[string]string{
	"plain": "",
	"filestream": `, RowGuid uniqueidentifier ROWGUIDCOL NOT NULL DEFAULT (NEWID()) CONSTRAINT UQ_Atoms_RowGuid UNIQUE,
		Payload varbinary(max) NULL, PayloadSize AS DATALENGTH(Payload) PERSISTED`,
	"cloud": `, BlobUri nvarchar(2048) NULL, BlobContainer nvarchar(256) NULL, BlobName nvarchar(1024) NULL,
		BlobSizeBytes bigint NULL, BlobETag nvarchar(128) NULL, BlobLastModified datetime2 NULL`,
}

// createAtoms creates an edition of Atoms as another program does, and the other tables.
func (s *server) createAtoms(t testing.TB, edition string) {
	t.Helper()
	_, err := s.own.Exec(`CREATE TABLE dbo.Atoms (AtomId bigint IDENTITY(1,1) NOT NULL CONSTRAINT PK_Atoms PRIMARY KEY,
		ContentHash binary(32) NOT NULL, Modality nvarchar(64) NOT NULL, Subtype nvarchar(128) NULL,
		SourceUri nvarchar(1024) NULL, SourceType nvarchar(128) NULL, CanonicalText nvarchar(max) NULL,
		PayloadLocator nvarchar(500) NULL, Metadata nvarchar(max) NULL,
		CreatedAt datetime2 NOT NULL DEFAULT (SYSUTCDATETIME()), UpdatedAt datetime2 NULL,
		IsActive bit NOT NULL DEFAULT (1), ReferenceCount bigint NOT NULL DEFAULT (0),
		SpatialKey varbinary(max) NULL, ComponentStream varbinary(max) NULL` + editions[edition] + `);
		CREATE UNIQUE INDEX UX_Atoms_ContentHash ON dbo.Atoms (ContentHash)`)
	if err == nil {
		err = s.clear()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestLocatorsOnSQLServer is TestLocators on a server, with all editions of Atoms.
func TestLocatorsOnSQLServer(t *testing.T) {
	serverAddress(t)
	if rerunWithoutRace(t) {
		return
	}
	for _, to := range targets() {
		for edition := range editions {
			t.Run(filepath.Base(to)+" "+edition, func(t *testing.T) {
				s := newServer(t)
				s.createAtoms(t, edition)
				r := newRegistryOn(t, s, to)
				r.plain = edition != "filestream"
				r.migrateAll(2)
			})
		}
	}
}
