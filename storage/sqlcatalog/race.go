package sqlcatalog

// RaceError says that another process was faster. The dialect runs the transaction again.
type RaceError string

func (e RaceError) Error() string { return string(e) }
