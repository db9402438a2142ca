package sqlcatalog

// RaceError says that another process was quicker: the verb has to look again. A dialect runs the transaction again.
type RaceError string

func (e RaceError) Error() string { return string(e) }
