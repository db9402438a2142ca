package sqlcatalog

import (
	"regexp"
	"strings"
)

// Statement is a statement of the catalogue.
type Statement struct {
	name string
	text string // with words in braces; empty where each dialect has its own
}

// all are the statements of this package.
var all []*Statement

// shared is a statement that every engine takes, once its words are filled in.
func shared(name, text string) *Statement {
	s := &Statement{name, text}
	all = append(all, s)
	return s
}

// differs is a statement that each dialect has a text of its own for.
func differs(name string) *Statement { return shared(name, "") }

// Own is a statement of a dialect that no other one has.
func Own(name, text string) *Statement { return &Statement{name, text} }

// and is the statement with a condition that is known only when it is executed.
func (s *Statement) and(condition string) *Statement {
	return &Statement{s.name, s.text + condition}
}

// Statements returns the texts of the statements by name: empty for those that each dialect has its own text for.
func Statements() map[string]string {
	texts := make(map[string]string, len(all))
	for _, s := range all {
		texts[s.name] = s.text
	}
	return texts
}

var braced = regexp.MustCompile(`\{([^{}]+)\}`)

// Render fills in the words of a statement. A word stands in braces, with its arguments after it:
//
//	{now}                 the time, as columns of times have it
//	{time x.Col}          a column of a time, to be read
//	{read x.Col}          a column of text, to be read into a *string that Text made
//	{readjson x.Col}      the same for JSON
//	{notext}              no text, in the place of {read}
//	{cols A B}            columns of text, in the list of an INSERT
//	{vals 2 3}            parameters that are a [Text], in the values of an INSERT
//	{json Table.Col 4}    a parameter that is a [Text], as the value of a column of JSON
//	{jsononly Table.Col 4} the same without the column that holds what does not fit
//	{readjsononly x.Col}  {readjson} of a column without one for what does not fit
//	{notnull x.Col}       whether a column of text has one
//	{set Col 3}           the assignment of a [Text] to a column
//	{setjson Table.Col 4} the same for a column of JSON
//	{key Col} {keyed 2}   the column that texts are found by, and its value, in an INSERT; with a comma after it, or nothing
//	{same x.Col 2}        whether a column of text is what parameter 2, a [Key], stands for
//	{address x}           the columns of an address, to be read; without x, for the list of an INSERT
//	{setaddress 6}        the assignment of parameter 6, an [ingest.Address], to these columns
//	{addressonly x}       {address} of a table without a column for what does not fit
//	{setaddressonly 6}    the assignment of parameter 6 to these columns
//	{haspayload a}        1 if an atom has a payload in its row, else 0
//	{payloadbytes a}      how long it is
//	{ifwhole 6}           a further condition: the columns hold all of the address
//	{setkey Col 3}        the assignment of a [Key] to the column that texts are found by, with a comma after it, or nothing
//	{blobname s}          the name of a blob; empty where the columns do not hold all of it
//	{bytes x.Col}         how long a payload is
//	{empty}               the empty payload
//	{sha256 x.Col}        the SHA-256 of a payload
//	{count}               the number of rows, as a 64-bit integer
//	{top @p2} {limit @p2} the most rows that are wanted, behind SELECT and at the end
//	{then} join           an inner join that reads the tables in the order in which they are written
//	{update lock}         locks the row that is read, for the transaction that will change it
//	{range lock}          the same, and the place in the index where there is no such row
//	{committed}           waits for who is changing the row, and reads what is committed then
//	{expires}             the column that says when a lease expires
//	{left x}              for how many milliseconds a lease is good, by the clock of the database; NULL for none
//	{until @p5}           the time that is so many milliseconds from now
//	{digests}             the parameters of a list of digests, separated by commas
//
// Tables are written with their schema, dbo, and parameters as @p1.
func Render(text string, word func(name string, args Args) (string, bool)) string {
	return braced.ReplaceAllStringFunc(text, func(found string) string {
		parts := strings.Fields(found[1 : len(found)-1])
		if parts[0] == "digests" {
			return digestParameters()
		}
		filled, known := word(parts[0], parts[1:])
		if !known {
			panic("no word for " + found) // a test compiles every statement
		}
		return filled
	})
}

// Args are the arguments of a word.
type Args []string

// At returns an argument; empty for one that is not there.
func (a Args) At(i int) string {
	if i < len(a) {
		return a[i]
	}
	return ""
}

// Column returns the first argument without its table.
func (a Args) Column() string { return a.At(0)[strings.LastIndexByte(a.At(0), '.')+1:] }

// Compile returns a statement in the words of an engine: of a text that is shared, or of the engine's own.
func Compile(name, text string, own map[string]string, word func(name string, args Args) (string, bool)) string {
	if text == "" {
		var known bool
		if text, known = own[name]; !known {
			panic("no statement " + name)
		}
	}
	return Render(text, word)
}
