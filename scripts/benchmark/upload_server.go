package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/crc64nvme"
)

// discardServer answers like Blob Storage, and is fast: it reads every body to its end and keeps
// only sizes and headers. If check is set, it also compares the CRC64 and rejects a payload without
// one. It prints its address and runs until its standard input ends.
func discardServer([]string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s/%s\n", listener.Addr(), benchAccount)
	server := &http.Server{Handler: &discard{}, ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// discard keeps the headers of each blob for HEAD requests.
type discard struct {
	mu     sync.Mutex
	blobs  map[string]http.Header
	blocks map[string]int64 // by path and block id
	bodies sync.Pool
	tag    int64
	owner  []byte // content of the last record of an owner

	check   bool
	checked atomic.Int64 // bytes
}

func (d *discard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	w.Header().Set("x-ms-request-id", "00000000-0000-0000-0000-000000000000")
	w.Header().Set("x-ms-version", "2024-11-04")
	switch comp := query.Get("comp"); {
	case r.Method == http.MethodDelete && r.URL.Path == "/":
		// not part of the protocol: starts a new round
		d.reset(query.Get("check") == "true", query.Get("owner") == "true")
		fallthrough
	case r.Method == http.MethodGet && r.URL.Path == "/":
		_, _ = fmt.Fprint(w, d.checked.Load())
	case r.Method == http.MethodPut && query.Get("restype") == "container":
		w.WriteHeader(http.StatusCreated)
	case comp == "list":
		w.Header().Set("Content-Type", "application/xml")
		_, _ = io.WriteString(w, `<?xml version="1.0" encoding="utf-8"?>`+
			`<EnumerationResults><Blobs></Blobs><NextMarker /></EnumerationResults>`)
	case r.Method == http.MethodPut && comp == "block":
		d.putBlock(w, r, query.Get("blockid"))
	case r.Method == http.MethodPut && comp == "blocklist":
		d.putBlockList(w, r)
	case r.Method == http.MethodPut && comp == "" && isOwner(r):
		d.putOwner(w, r)
	case r.Method == http.MethodPut && comp == "":
		if size, ok := d.readBody(w, r); ok {
			d.created(w, r, size)
		}
	case r.Method == http.MethodPut:
		w.WriteHeader(http.StatusOK) // properties, metadata
	default:
		d.head(w, r)
	}
}

// isOwner reports whether a request is about the record of a store's owner: the only content that
// the server keeps.
func isOwner(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/owner") }

func (d *discard) putOwner(w http.ResponseWriter, r *http.Request) {
	owner, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	d.mu.Lock()
	d.owner = owner
	d.mu.Unlock()
	d.created(w, r, int64(len(owner)))
}

// reset forgets everything, or only the owner of the store.
func (d *discard) reset(check, owner bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !owner {
		d.blobs, d.blocks, d.check = nil, nil, check
		return
	}
	for path := range d.blobs {
		if strings.HasSuffix(path, "/owner") {
			delete(d.blobs, path)
		}
	}
}

// readBody reads a body in large pieces, which costs the shared cores little. If the body does not
// match its headers, readBody answers the request and returns false.
func (d *discard) readBody(w http.ResponseWriter, r *http.Request) (size int64, ok bool) {
	d.mu.Lock()
	check := d.check
	d.mu.Unlock()
	crc := crc64nvme.New()
	buffer, _ := d.bodies.Get().(*[1 << 20]byte)
	if buffer == nil {
		buffer = new([1 << 20]byte)
	}
	defer d.bodies.Put(buffer)
	var err error
	for err == nil {
		var n int
		n, err = r.Body.Read(buffer[:])
		size += int64(n)
		if check {
			_, _ = crc.Write(buffer[:n])
		}
	}
	if err != io.EOF || size != r.ContentLength {
		w.WriteHeader(http.StatusBadRequest)
		return size, false
	}
	if !check {
		return size, true
	}
	d.checked.Add(size)
	sum := base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, crc.Sum64()))
	if sum != r.Header.Get("x-ms-content-crc64") {
		w.Header().Set("x-ms-error-code", "Crc64Mismatch")
		w.WriteHeader(http.StatusBadRequest)
		return size, false
	}
	return size, true
}

func (d *discard) putBlock(w http.ResponseWriter, r *http.Request, id string) {
	size, ok := d.readBody(w, r)
	if !ok {
		return
	}
	d.mu.Lock()
	if d.blocks == nil {
		d.blocks = map[string]int64{}
	}
	d.blocks[r.URL.Path+"?"+id] = size
	d.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
}

func (d *discard) putBlockList(w http.ResponseWriter, r *http.Request) {
	var list struct {
		Latest      []string `xml:"Latest"`
		Uncommitted []string `xml:"Uncommitted"`
	}
	if err := xml.NewDecoder(r.Body).Decode(&list); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var size int64
	d.mu.Lock()
	for _, id := range append(list.Latest, list.Uncommitted...) {
		size += d.blocks[r.URL.Path+"?"+id]
	}
	d.mu.Unlock()
	d.created(w, r, size)
}

// created keeps the blob's headers and answers the request.
func (d *discard) created(w http.ResponseWriter, r *http.Request, size int64) {
	kept := http.Header{}
	for name, values := range r.Header {
		switch short, ok := strings.CutPrefix(name, "X-Ms-Blob-Content-"); {
		case strings.HasPrefix(name, "X-Ms-Meta-"):
			kept[name] = values
		case ok:
			kept["Content-"+short] = values
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tag++
	kept.Set("ETag", fmt.Sprintf(`"0x%016X"`, d.tag))
	kept.Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	kept.Set("Content-Length", fmt.Sprint(size))
	kept.Set("x-ms-blob-type", "BlockBlob")
	if d.blobs == nil {
		d.blobs = map[string]http.Header{}
	}
	d.blobs[r.URL.Path] = kept
	w.Header().Set("ETag", kept.Get("ETag"))
	w.Header().Set("Last-Modified", kept.Get("Last-Modified"))
	w.WriteHeader(http.StatusCreated)
}

// head answers a HEAD request. There is no content.
func (d *discard) head(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	kept, owner := d.blobs[r.URL.Path], d.owner
	d.mu.Unlock()
	if kept == nil || r.Method != http.MethodHead && !isOwner(r) {
		w.Header().Set("x-ms-error-code", "BlobNotFound")
		w.WriteHeader(http.StatusNotFound)
		return
	}
	for name, values := range kept {
		w.Header()[name] = values
	}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(owner)
	}
}
