package tdstest

import (
	"fmt"
	"regexp"
	"strings"
)

// Column is a column of a table or of a result.
type Column struct {
	Name     string
	Type     Type
	Nullable bool
	Filled   bool // by the server if no value is sent: identity or default
}

// Columns parses columns in the syntax of CREATE TABLE: "AtomId bigint not null, Hash binary(32)". It
// ignores constraints, except that the columns of a primary key are not null. It panics if the text
// is invalid.
func Columns(text string) []Column {
	columns, err := parseColumns(text)
	if err != nil {
		panic(err)
	}
	return columns
}

var (
	columnShape = regexp.MustCompile(`(?is)^\s*(\[(?:[^\]]|\]\])*\]|"[^"]*"|[\w@#$]+)` + // name
		`\s*((?:\[\w+\]|\w+)\s*(?:\([^)]*\))?)` + // type
		`(.*)$`)
	constraint = regexp.MustCompile(`(?is)^\s*(primary|unique|constraint|foreign|check|index)\b`)
	keyColumns = regexp.MustCompile(`(?is)\bprimary\s+key\b[^(]*\(([^)]*)\)`)
	notNull    = regexp.MustCompile(`(?is)\bnot\s+null\b|\bprimary\s+key\b|\bidentity\b`)
	filled     = regexp.MustCompile(`(?is)\bidentity\b|\bdefault\b`)
)

func parseColumns(text string) ([]Column, error) {
	var columns []Column
	var keys []string
	for _, part := range splitTop(stripComments(text)) {
		if strings.TrimSpace(part) == "" {
			continue
		}
		if constraint.MatchString(part) {
			if found := keyColumns.FindStringSubmatch(part); found != nil {
				keys = append(keys, strings.Split(found[1], ",")...)
			}
			continue
		}
		column, err := parseColumn(part)
		if err != nil {
			return nil, err
		}
		columns = append(columns, column)
	}
	for _, key := range keys {
		key, _, _ = strings.Cut(strings.TrimSpace(key), " ")
		for i := range columns {
			if strings.EqualFold(columns[i].Name, unquote(key)) {
				columns[i].Nullable = false
			}
		}
	}
	return columns, nil
}

func parseColumn(text string) (Column, error) {
	found := columnShape.FindStringSubmatch(text)
	if found == nil {
		return Column{}, fmt.Errorf("column %q cannot be read", text)
	}
	t, err := ParseType(found[2])
	if err != nil {
		return Column{}, fmt.Errorf("column %q: %w", text, err)
	}
	return Column{
		Name:     unquote(found[1]),
		Type:     t,
		Nullable: !notNull.MatchString(found[3]),
		Filled:   filled.MatchString(found[3]),
	}, nil
}

// unquote removes the brackets or quotes around a name.
func unquote(name string) string {
	name = strings.TrimSpace(name)
	if len(name) >= 2 && name[0] == '[' && name[len(name)-1] == ']' {
		return strings.ReplaceAll(name[1:len(name)-1], "]]", "]")
	}
	return strings.Trim(name, `"`)
}

// splitTop splits at the commas outside of parentheses, brackets and quotes.
func splitTop(text string) []string {
	var parts []string
	depth, start := 0, 0
	scan(text, func(at int) int {
		switch text[at] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, text[start:at])
				start = at + 1
			}
		}
		return 1
	})
	return append(parts, text[start:])
}

// scan visits the bytes of a statement outside of quotes and brackets. visit returns the number of
// bytes to skip.
func scan(text string, visit func(at int) int) {
	closing := map[byte]byte{'\'': '\'', '"': '"', '[': ']'}
	for i := 0; i < len(text); {
		end, quoted := closing[text[i]]
		if !quoted {
			i += visit(i)
			continue
		}
		size := strings.IndexByte(text[i+1:], end)
		if size < 0 {
			return
		}
		i += size + 2
	}
}

// stripComments replaces each comment by a space.
func stripComments(text string) string {
	var plain strings.Builder
	kept := 0
	scan(text, func(at int) int {
		size := commentBytes(text[at:])
		if size == 0 {
			return 1
		}
		plain.WriteString(text[kept:at])
		plain.WriteByte(' ')
		kept = at + size
		return size
	})
	plain.WriteString(text[kept:])
	return plain.String()
}

func commentBytes(text string) int {
	end := ""
	switch {
	case strings.HasPrefix(text, "--"):
		end = "\n"
	case strings.HasPrefix(text, "/*"):
		end = "*/"
	default:
		return 0
	}
	size := strings.Index(text[2:], end)
	if size < 0 {
		return len(text)
	}
	return 2 + size + len(end)
}
