package sqlcatalog

import (
	"slices"
	"strings"
)

// keyColumns hold the SHA-256 of texts. An index finds a text by it, byte for byte under any
// collation.
var keyColumns = map[string]string{"Name": "NameHash", "SourcePath": "PathHash"}

// addressNames are the columns of an address that all tables have.
var addressNames = []string{"BlobUri", "BlobContainer", "BlobName", "BlobETag", "BlobSizeBytes", "BlobLastModified"}

// AddressNames are the columns of the address of a segment.
func AddressNames() []string { return slices.Concat(addressNames, []string{"Codec", "StoredHash"}) }

// ExactAddressNames are AddressNames, and AddressExact for values that these cannot hold.
func ExactAddressNames() []string { return append(AddressNames(), "AddressExact") }

// ExactWord renders the words about texts, JSON and addresses for an engine that has a second
// column, named Exact, for bytes that the first cannot hold. The parameter of a text has a second
// one, too, named with an x. It returns false for other words.
func ExactWord(name string, args Args) (string, bool) {
	column := args.Column()
	switch name {
	case "read":
		return args.At(0) + ", " + args.At(0) + "Exact", true
	case "notext":
		return "NULL, NULL", true
	case "cols":
		return Join(args, func(a string) string { return a + ", " + a + "Exact" }), true
	case "vals":
		return Join(args, func(a string) string { return "@p" + a + ", @p" + a + "x" }), true
	case "set":
		return column + " = @p" + args.At(1) + ", " + column + "Exact = @p" + args.At(1) + "x", true
	case "key":
		return keyColumns[args.At(0)] + ", ", true
	case "keyed":
		return "@p" + args.At(0) + ", ", true
	case "setkey":
		return keyColumns[args.At(0)] + " = @p" + args.At(1) + ", ", true
	case "same":
		return strings.TrimSuffix(args.At(0), column) + keyColumns[column] + " = @p" + args.At(1), true
	case "address":
		return Join(ExactAddressNames(), func(name string) string { return Qualified(args.At(0), name) }), true
	case "addressof":
		return ExactWord("address", args[1:])
	case "columnof":
		return Qualified(args.At(1), args.At(2)), true
	case "setaddress":
		return Join(ExactAddressNames(), func(name string) string { return name + " = @p" + args.At(0) + name }), true
	case "notnull":
		return "(" + args.At(0) + " IS NOT NULL OR " + args.At(0) + "Exact IS NOT NULL)", true
	case "addressonly":
		return AddressOnly(args.At(0)) + ", NULL", true
	case "setaddressonly":
		return SetAddressOnly(args), true
	case "blobname":
		return "CASE WHEN " + Qualified(args.At(0), "AddressExact") + " IS NULL THEN " + BlobName(args.At(0)) +
			" ELSE '' END", true
	}
	return "", false
}

// EqualExact is {equal} with a second column: text compares the first one.
func EqualExact(args Args, text string) string {
	exact := "@p" + args.At(1) + "x"
	return "(" + args.At(0) + "Exact = " + exact + " OR " + exact + " IS NULL AND " + text + ")"
}

// AtAddress renders {ataddress}, {asread} and {aturi}: comparable makes a text or NULL comparable
// byte for byte. It returns false for other words.
func AtAddress(name string, args Args, comparable func(text string) string) (string, bool) {
	parameter := "@p" + args.At(0)
	equal := func(name string) string { return comparable(name) + " = " + comparable(parameter+name) }
	text := equal("BlobUri") + " AND " + equal("BlobName")
	switch name {
	case "ataddress":
		return text, true
	case "asread":
		return text + " AND " + equal("Codec") + " AND BlobSizeBytes = " + parameter + "BlobSizeBytes", true
	case "aturi":
		return comparable(Qualified(args.At(2), "BlobUri")) + " = " + comparable(parameter), true
	}
	return "", false
}

// BlobName is {blobname} if the columns hold the whole address.
func BlobName(table string) string {
	return "COALESCE(NULLIF(" + Qualified(table, "BlobName") + ", ''), " + Qualified(table, "BlobUri") + ", '')"
}

// AddressOnly selects the columns of an address from a table without those of an encoding, where
// the size may be NULL.
func AddressOnly(table string) string {
	return Join(addressNames, func(name string) string {
		column := Qualified(table, name)
		if name == "BlobSizeBytes" {
			return "COALESCE(" + column + ", 0)"
		}
		return column
	}) + ", NULL, NULL"
}

// SetAddressOnly is {setaddressonly}, in every engine.
func SetAddressOnly(args Args) string {
	return Join(addressNames, func(name string) string { return name + " = @p" + args.At(0) + name })
}

// Qualified returns the name of a column in table, which may be empty.
func Qualified(table, column string) string {
	if table == "" {
		return column
	}
	return table + "." + column
}

// Join applies each to the items of a list, and separates them by commas.
func Join(list []string, each func(string) string) string {
	all := make([]string, len(list))
	for i := range list {
		all[i] = each(list[i])
	}
	return strings.Join(all, ", ")
}
