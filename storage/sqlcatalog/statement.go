package sqlcatalog

import (
	"regexp"
	"strings"
)

// Statement is a statement of the catalogue, with a name.
type Statement struct {
	name  string
	text  string // with words in braces; empty if every dialect has its own
	added string // as it is
}

// all are the statements of this package.
var all []*Statement

// shared is a statement that every engine takes once its words are rendered.
func shared(name, text string) *Statement {
	s := &Statement{name: name, text: text}
	all = append(all, s)
	return s
}

// differs is a statement that each dialect has its own text for.
func differs(name string) *Statement { return shared(name, "") }

// Own is a statement of a single dialect.
func Own(name, text string) *Statement { return &Statement{name: name, text: text} }

// EndMark begins the end of a statement that is known only when it runs. The test double of a server
// knows the rest by the statement's name.
const EndMark = "/* and */ "

// and returns the statement with such an end, which names tables and columns of other programs.
func (s *Statement) and(end string) *Statement {
	return &Statement{s.name, s.text, s.added + EndMark + end}
}

// Statements returns the texts of the statements by name; empty for those that differ.
func Statements() map[string]string {
	texts := make(map[string]string, len(all))
	for _, s := range all {
		texts[s.name] = s.text
	}
	return texts
}

var braced = regexp.MustCompile(`\{([^{}]+)\}`)

// Render replaces the words of a statement. A word stands in braces, with its arguments after it:
//
//	{now}                  the time, for a time column
//	{time x.Col}           selects a time column
//	{read x.Col}           selects a text column, for a [TextInto]
//	{readjson x.Col}       selects a JSON column, for a [JSONInto]
//	{notext}               no text, in place of {read}
//	{cols A B}             text columns in the list of an INSERT
//	{vals 2 3}             parameters of type [Text] in the values of an INSERT
//	{json Table.Col 4}     a parameter of type [Text] as the value of a JSON column
//	{jsononly Table.Col 4} the same without the column for what does not fit
//	{readjsononly x.Col 9} {readjson} of a column without one for what does not fit; NULL above 9 bytes
//	{jsonbytes x.Col}      the size of a JSON column in bytes, 0 for NULL
//	{notnull x.Col}        whether a text column has a value
//	{set Col 3}            assigns a [Text] to a column
//	{setjson Table.Col 4}  assigns a [Text] to a JSON column
//	{key Col} {keyed 2}    the key column of a text and its value in an INSERT, with a comma, or nothing
//	{setkey Col 3}         assigns a [Key] to the key column of a text, with a comma, or nothing
//	{same x.Col 2}         compares a text column with parameter 2, a [Key]
//	{equal Col 2}          compares a text column with parameter 2, a [Text]; no text equals NULL
//	{address x}            selects the columns of an address; without x, the list of an INSERT
//	{addressof tensor s}   selects the address of a segment of a tensor, or of a file outside tensors
//	{columnof tensor s X}  selects column X of it
//	{setaddress 6}         assigns parameter 6, an [ingest.Address], to these columns
//	{addressonly x}        {address} of a table that has only the first six of them
//	{setaddressonly 6}     assigns parameter 6 to these columns
//	{sized} {nosize}       whether an atom has a ByteSize, and the value of one that has none
//	{ataddress 6}          compares URI and name with those of parameter 6, an [ingest.Address], byte for byte
//	{asread 6}             {ataddress} of a segment; compares codec and size, too
//	{aturi 3}              compares the URI with parameter 3, byte for byte
//	{aturi 2 tensor s}     the same for the address of a segment
//	{haspayload a}         1 if an atom has a payload in its row, else 0
//	{payloadbytes a}       the payload's length
//	{blobname s}           a blob's name, or its URI without one; empty if it does not fit
//	{bytes x.Col}          the length of a payload
//	{small s}              whether the payload of a segment is small and kept with its atom
//	{empty}                the empty payload
//	{sha256 x.Col}         the SHA-256 of a payload
//	{count}                the number of rows, as a 64-bit integer
//	{sum x.Col}            the sum of an expression, 0 for no rows, and at most the largest 64-bit integer
//	{wherelisted}          WHERE and AND, with the index of atoms that may be unreferenced
//	{top @p2} {limit @p2}  the maximum number of rows, after SELECT and at the end
//	{then} join            an inner join that reads the tables in the order written
//	{update lock}          locks the row that is read until the transaction ends
//	{range lock}           the same, and the range in the index if there is no row
//	{committed}            waits for a transaction that changes the row, and reads what it committed
//	{expires}              the column with the time when a lease expires
//	{left x}               milliseconds until a lease expires, by the database's clock; NULL for none
//	{until @p5}            the time in that many milliseconds
//	{digests}              the parameters of a list of digests, separated by commas
//
// Tables are written with the schema dbo, and parameters as @p1.
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

// At returns an argument, or the empty string if it is missing.
func (a Args) At(i int) string {
	if i < len(a) {
		return a[i]
	}
	return ""
}

// All returns the arguments as one expression.
func (a Args) All() string { return strings.Join(a, " ") }

// Column returns the first argument without its table.
func (a Args) Column() string { return a.At(0)[strings.LastIndexByte(a.At(0), '.')+1:] }

// Compile renders the engine's own text of this name or, if it has none, text.
func Compile(name, text string, own map[string]string, word func(name string, args Args) (string, bool)) string {
	switch its, known := own[name]; {
	case known:
		text = its
	case text == "":
		panic("no statement " + name)
	}
	return Render(text, word)
}
