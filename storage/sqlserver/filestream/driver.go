package filestream

// Driver is a DLL from Microsoft that opens FILESTREAM payloads. It implements Files and is safe
// for concurrent use.
type Driver struct {
	DLL  string // such as msoledbsql19.dll
	open func(path string, access Access, token []byte) (Handle, error)
}

var _ Files = (*Driver)(nil)

// Find returns the newest driver in the Windows system folder. It looks nowhere else: a DLL beside
// the program could be anybody's. If there is none, or not on Windows, the error says what to
// install.
func Find() (*Driver, error) { return find() }

// Open implements Files. Its errors, and those of the handle, are of type *Error.
func (d *Driver) Open(path string, access Access, token []byte) (Handle, error) {
	return d.open(path, access, token)
}
