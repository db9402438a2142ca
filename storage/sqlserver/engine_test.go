package sqlserver

import (
	"context"
	"crypto/rand"
	"database/sql"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/catalogtest"
)

// engineVariable names a server on which tests create and drop their own databases.
const engineVariable = "INGEST_TEST_SQLSERVER"

// newDatabase creates an empty database for one test and returns its address. Without a server it
// skips the test.
func newDatabase(t *testing.T) string {
	t.Helper()
	address := createDatabase(t)
	t.Cleanup(func() {
		if err := dropDatabase(address); err != nil {
			t.Error(err)
		}
	})
	return address
}

func createDatabase(t testing.TB) string {
	t.Helper()
	server := os.Getenv(engineVariable)
	if server == "" {
		t.Skipf("no SQL Server: set %s to the address of one; tests do not change its database", engineVariable)
	}
	name := "ingest_test_" + strings.ToLower(rand.Text()[:12])
	if err := onServer(server, `CREATE DATABASE `+name); err != nil {
		t.Fatal(err)
	}
	return with(server, "database", name)
}

// dropDatabase retries for a while: connections may still be closing.
func dropDatabase(address string) error {
	config, err := msdsn.Parse(address)
	if err != nil {
		return err
	}
	for range 50 {
		if err = onServer(os.Getenv(engineVariable), `DROP DATABASE `+config.Database); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

func onServer(address, query string) error {
	db, err := OpenSchema(address, Settings{})
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(query)
	return err
}

// schemaDB opens a database for package schema until the test ends.
func schemaDB(t *testing.T, address string) *sql.DB {
	t.Helper()
	db, err := OpenSchema(address, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func apply(t testing.TB, address string) *schema.Report {
	t.Helper()
	report, err := applied(address)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func applied(address string) (*schema.Report, error) {
	db, err := OpenSchema(address, Settings{})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return schema.Apply(context.Background(), db)
}

func open(t *testing.T, address string) *Catalog {
	t.Helper()
	c, err := Open(t.Context(), address, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestContract(t *testing.T) { catalogtest.Run(t, fresh) }

func TestRows(t *testing.T) { catalogtest.Rows(t, fresh) }
