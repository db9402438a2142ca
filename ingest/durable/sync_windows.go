package durable

// SyncFolder does nothing: Windows cannot sync folders, and NTFS journals renames.
func SyncFolder(string) error { return nil }
