package dir

import "unsafe"

// aligned returns memory that begins at a page boundary, like the pipeline's buffers.
func aligned(size int) []byte {
	const page = 4096
	raw := make([]byte, size+page)
	shift := int(-uintptr(unsafe.Pointer(unsafe.SliceData(raw))) % page)
	return raw[shift : shift+size : shift+size]
}
