package filestream

// Driver is a DLL of Microsoft's that opens FILESTREAM payloads. It implements Files and may be
// used by many goroutines.
type Driver struct {
	DLL  string // its name, such as msoledbsql19.dll
	open func(path string, access Access, token []byte) (Handle, error)
}

var _ Files = (*Driver)(nil)

// Find finds the newest driver in the folder of Windows itself, and looks nowhere else: a DLL
// beside the program could be anybody's. Without one, or not on Windows, the error says
// what to install.
func Find() (*Driver, error) { return find() }

// Open implements Files. Its errors, and those of the handle, are of type *Error.
func (d *Driver) Open(path string, access Access, token []byte) (Handle, error) {
	return d.open(path, access, token)
}
