package schema

import (
	"cmp"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// expectation is what the steps make. It is parsed from their text, so that Check cannot drift from
// Apply.
type expectation struct {
	tables  []string
	columns map[string][]column // by table
	indexes []index
	keys    []foreignKey
}

type column struct {
	name, kind string // kind as in "nvarchar", "bigint", "json"
	length     int    // of nvarchar, binary and varbinary; -1 for max, 0 for other kinds
	null       bool
	fallback   bool // has a default
}

type index struct {
	table   string
	columns []string
	unique  bool
}

// foreignKey is identified by its columns: another program may have given it another name.
type foreignKey struct {
	table   string
	columns []string
	to      string // the table
	keys    []string
	deletes string // the action on delete, such as "CASCADE" or "NO ACTION"
	off     bool   // the server does not enforce it
}

// noAction refuses to delete a row that others refer to.
const noAction = "NO ACTION"

var (
	createTable = regexp.MustCompile(`(?m)^CREATE TABLE dbo\.(\w+) \(`)
	columnLine  = regexp.MustCompile(`^\s+\[?(\w+)\]?\s+([a-z]\w*)(?:\((max|\d+)(?:,\s*\d+)?\))?\s(.*)$`)
	addColumn   = regexp.MustCompile(`^\s*ALTER TABLE dbo\.(\w+) ADD ([A-Z]\w* .*);`)
	alterTable  = regexp.MustCompile(`^\s*ALTER TABLE dbo\.(\w+) ADD CONSTRAINT `)
	keyClause   = regexp.MustCompile(
		`FOREIGN KEY \(([^)]*)\) REFERENCES dbo\.(\w+) \(([^)]*)\)(?: ON DELETE (CASCADE|SET NULL))?`)
	uniqueLine  = regexp.MustCompile(`^\s+CONSTRAINT \w+ (?:UNIQUE|PRIMARY KEY CLUSTERED) \(([^)]*)\)`)
	createIndex = regexp.MustCompile(`CREATE (UNIQUE )?INDEX \w+ ON dbo\.(\w+) \(([^)]*)\)`)
	// continued is the start of a line that continues the one before it.
	continued = regexp.MustCompile(`\n\s+(CONSTRAINT \w+ DEFAULT|FOREIGN KEY|ON dbo\.)`)
)

// expect parses the steps, which have one column or constraint per line.
func expect(steps []Step) *expectation {
	e := &expectation{columns: make(map[string][]column)}
	for _, step := range steps {
		table := ""
		for line := range strings.SplitSeq(continued.ReplaceAllString(step.SQL, " $1"), "\n") {
			if m := createTable.FindStringSubmatch(line); m != nil {
				table = m[1]
				e.tables = append(e.tables, table)
				continue
			}
			if strings.HasPrefix(line, ")") {
				table = ""
			}
			e.line(table, line)
		}
	}
	return e
}

func (e *expectation) line(table, line string) {
	if m := createIndex.FindStringSubmatch(line); m != nil {
		e.index(index{m[2], names(m[3]), m[1] != ""})
		return
	}
	if m := alterTable.FindStringSubmatch(line); m != nil {
		table = m[1]
	}
	if m := keyClause.FindStringSubmatch(line); m != nil {
		e.keys = append(e.keys, foreignKey{table: table, columns: names(m[1]), to: m[2], keys: names(m[3]),
			deletes: cmp.Or(m[4], noAction)})
		return
	}
	if m := addColumn.FindStringSubmatch(line); m != nil {
		e.column(m[1], " "+m[2]+" ")
		return
	}
	if table == "" {
		return
	}
	if m := uniqueLine.FindStringSubmatch(line); m != nil {
		e.index(index{table, names(m[1]), true})
	} else {
		e.column(table, line)
	}
}

// index adds an index once: a later step adds some to tables that existed before the first step.
func (e *expectation) index(i index) {
	if !slices.ContainsFunc(e.indexes, func(have index) bool { return reflect.DeepEqual(have, i) }) {
		e.indexes = append(e.indexes, i)
	}
}

// column adds the column that line defines, if any, once: a later step adds some to editions of a
// table that lack them.
func (e *expectation) column(table, line string) {
	m := columnLine.FindStringSubmatch(line)
	if m == nil || m[1] == "CONSTRAINT" {
		return
	}
	for _, have := range e.columns[table] {
		if have.name == m[1] {
			return
		}
	}
	c := column{name: m[1], kind: m[2], null: !strings.Contains(m[4], "NOT NULL"),
		fallback: strings.Contains(m[4], " DEFAULT ")}
	switch {
	case m[3] == "max":
		c.length = -1
	case c.kind == "nvarchar" || c.kind == "binary" || c.kind == "varbinary":
		c.length, _ = strconv.Atoi(m[3])
	}
	e.columns[table] = append(e.columns[table], c)
}

func names(list string) []string {
	var all []string
	for name := range strings.SplitSeq(list, ",") {
		all = append(all, strings.TrimSpace(name))
	}
	return all
}
