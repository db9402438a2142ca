package schema

import (
	"cmp"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// expectation is what the steps make, read out of their own text, so that what is checked
// cannot drift from what is applied.
type expectation struct {
	tables  []string
	columns map[string][]column // by table
	indexes []index
	keys    []foreignKey
}

type column struct {
	name, kind string // kind as in "nvarchar", "bigint", "json"
	length     int    // of nvarchar, binary and varbinary; -1 for max, 0 for what has none
	null       bool
	fallback   bool // has a default
}

type index struct {
	table   string
	columns []string
	unique  bool
}

// foreignKey is known by what it refers from and to: its name is whatever its maker gave it.
type foreignKey struct {
	table   string
	columns []string
	to      string // the table
	keys    []string
	deletes string // what happens to the row when the one that it refers to goes, such as "CASCADE" or "NO ACTION"
	off     bool   // the server does not keep it
}

// noAction is a delete that is refused as long as rows refer to the row.
const noAction = "NO ACTION"

var (
	createTable = regexp.MustCompile(`(?m)^CREATE TABLE dbo\.(\w+) \(`)
	columnLine  = regexp.MustCompile(`^\s+\[?(\w+)\]?\s+([a-z]\w*)(?:\((max|\d+)(?:,\s*\d+)?\))?\s(.*)$`)
	addColumn   = regexp.MustCompile(`^\s*ALTER TABLE dbo\.(\w+) ADD ([A-Z]\w* .*);`)
	alterTable  = regexp.MustCompile(`^\s*ALTER TABLE dbo\.(\w+) ADD CONSTRAINT `)
	keyClause   = regexp.MustCompile(`FOREIGN KEY \(([^)]*)\) REFERENCES dbo\.(\w+) \(([^)]*)\)(?: ON DELETE (CASCADE|SET NULL))?`)
	uniqueLine  = regexp.MustCompile(`^\s+CONSTRAINT \w+ (?:UNIQUE|PRIMARY KEY CLUSTERED) \(([^)]*)\)`)
	createIndex = regexp.MustCompile(`CREATE (UNIQUE )?INDEX \w+ ON dbo\.(\w+) \(([^)]*)\)`)
)

// expect reads the steps, which keep to one column or constraint a line.
func expect(steps []Step) *expectation {
	e := &expectation{columns: make(map[string][]column)}
	for _, step := range steps {
		table := ""
		for line := range strings.SplitSeq(step.SQL, "\n") {
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

// index adds one that is not there: a later step adds some to tables that were there before the first.
func (e *expectation) index(i index) {
	if !slices.ContainsFunc(e.indexes, func(have index) bool { return reflect.DeepEqual(have, i) }) {
		e.indexes = append(e.indexes, i)
	}
}

// column adds the column that line defines, if it does. One that is there stays: a later step adds
// some to tables of editions that lack them.
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
