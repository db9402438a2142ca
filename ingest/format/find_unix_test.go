//go:build unix

package format

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFindOpensNoPipes hangs if a pipe is opened.
func TestFindOpensNoPipes(t *testing.T) {
	root := folder(t, map[string]string{"a.gguf": "", "to pipe": "-> pipe",
		"models/manifests/registry.ollama.ai/library/m/": "", "models/blobs/": ""})
	manifest := filepath.Join("models", "manifests", "registry.ollama.ai", "library", "m", "t")
	for _, name := range []string{"pipe", "x-00001-of-00002.gguf", manifest,
		filepath.Join("models", "blobs", "sha256-"+weightsHex)} {
		if err := syscall.Mkfifo(filepath.Join(root, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("unix", filepath.Join(root, "socket"))
	if err != nil {
		t.Skip("no sockets here:", err)
	}
	defer listener.Close()
	sources, skipped, refused := find(t, root, ".", "pipe", "x-00001-of-00002.gguf", "models/blobs/sha256-"+weightsHex)
	expect(t, "sources", sources, []string{"weights a.gguf"})
	expect(t, "skipped", skipped, []string{".: 3 other files are not models"})
	expect(t, "refused", refused, []string{
		"models/blobs/sha256-" + weightsHex + ": it is a pipe, not a regular file",
		"models/manifests/registry.ollama.ai/library/m/t: it is a pipe, not a regular file",
		"pipe: it is a pipe, not a regular file", // a given path
		"x-00001-of-00002.gguf: it is a pipe, not a regular file"})
	_, _, refused = find(t, "/", "dev/null")
	expect(t, "refused", refused, []string{"dev/null: it is a device, not a regular file"})
}
