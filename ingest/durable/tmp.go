package durable

func SyncFolder(string) error { return nil }
