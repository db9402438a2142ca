package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
)

// Azurite's default account. The discarding server checks neither key nor signature.
const (
	benchAccount   = "devstoreaccount1"
	benchKey       = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	benchContainer = "bench"
)

// uploader is a program that uploads a file. goal is the maximum ratio of our time to its time.
type uploader struct {
	name    string
	goal    float64
	command func(address string) []string // address is the account's
}

// upload measures a run into a server that stands for Blob Storage and discards what it reads. It
// also measures other programs on the PATH that upload a file. These make no rows and, unless their
// name says so, no checksums. The server checks our uploads in the round that is not counted.
func (b *bench) upload(ctx context.Context) error {
	model, err := b.model()
	if err != nil {
		return err
	}
	address, stop, err := serveDiscard(ctx)
	if err != nil {
		return err
	}
	defer stop()
	rounds := 0
	ours := &contender{name: "ingest models, both SHA-256 and CRC64", command: b.modelsTo(model, address),
		prepare: func() error {
			rounds++
			return b.resetServer(ctx, address, rounds == 1)
		}}
	again := &contender{name: "ingest models, content present",
		command: b.modelsTo(model, address), prepare: func() error {
			_, err := control(ctx, http.MethodDelete, address, "owner=true") // the next catalogue is another one
			return errors.Join(err, b.clear("catalog"))
		}}
	contenders, goals := []*contender{ours, again}, map[*contender]float64{}
	others, err := b.others(model)
	if err != nil {
		return err
	}
	for _, u := range others {
		c := &contender{name: u.name, command: u.command(address),
			prepare: func() error { return b.resetServer(ctx, address, false) }}
		contenders, goals[c] = append(contenders, c), u.goal
	}
	if err := compare(ctx, b.rounds, contenders...); err != nil {
		return err
	}
	checked, err := control(ctx, http.MethodGet, address, "")
	if err != nil {
		return err
	}
	info, err := os.Stat(model)
	if err != nil {
		return err
	}
	if checked < info.Size() {
		return fmt.Errorf("the server checked %d bytes of %d", checked, info.Size())
	}
	fmt.Printf("a GGUF file of %d GiB to a discarding server, medians of %d\n", b.gib, b.rounds)
	printAll(contenders)
	fmt.Printf("  peak memory                                            %.0f MiB (goal 100)\n", ours.median(peak))
	for _, c := range contenders[2:] {
		fmt.Printf("  ratio to %-45s %.2f (goal %.2f)\n", c.name, ours.ratio(c), goals[c])
	}
	return nil
}

// uploadToAzurite measures uploads to Azurite in memory, which is the bottleneck: there are no
// goals. Each run has its own Azurite, because Azurite frees memory late.
func (b *bench) uploadToAzurite(ctx context.Context) error {
	if out, err := exec.CommandContext(ctx, "scripts/azurite", "install").CombinedOutput(); err != nil {
		fmt.Printf("no measurement of Azurite: %v %s\n", err, strings.TrimSpace(string(out)))
		return nil
	}
	model, err := b.model()
	if err != nil {
		return err
	}
	all := []uploader{{name: "ingest models, both SHA-256 and CRC64",
		command: func(address string) []string { return b.modelsTo(model, address) }}}
	others, err := b.others(model)
	if err != nil {
		return err
	}
	stop := func() {}
	defer func() { stop() }()
	var contenders []*contender
	for _, u := range append(all, others...) {
		c := &contender{name: u.name}
		c.prepare = func() (err error) {
			stop()
			var address string
			address, stop, err = serve(exec.CommandContext(ctx, "scripts/azurite", "start", "--memory"))
			if err != nil {
				stop = func() {}
				return fmt.Errorf("start Azurite: %w", err)
			}
			c.command = u.command(address)
			if err := makeContainer(ctx, address); err != nil {
				return err
			}
			return b.clear("catalog")
		}
		contenders = append(contenders, c)
	}
	rounds := min(b.rounds, 3)
	if err := compare(ctx, rounds, contenders...); err != nil {
		return err
	}
	fmt.Printf("a GGUF file of %d GiB to Azurite in memory, medians of %d\n", b.gib, rounds)
	printAll(contenders)
	return nil
}

// model returns the file to upload, and makes it if it does not exist.
func (b *bench) model() (string, error) {
	path := b.path("model.gguf")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, b.makeModel(path, b.gib)
}

// others returns the other upload programs on the PATH.
func (b *bench) others(model string) ([]uploader, error) {
	key, err := azblob.NewSharedKeyCredential(benchAccount, benchKey)
	if err != nil {
		return nil, err
	}
	query, err := sas.AccountSignatureValues{Protocol: sas.ProtocolHTTPSandHTTP,
		ExpiryTime: time.Now().Add(24 * time.Hour), Permissions: "rwdlac", ResourceTypes: "sco"}.SignWithSharedKey(key)
	if err != nil {
		return nil, err
	}
	var found []uploader
	if _, err := exec.LookPath("azcopy"); err == nil {
		azcopy := func(more ...string) func(string) []string {
			return func(address string) []string {
				target := address + "/" + benchContainer + "/model.gguf?" + query.Encode()
				// Logs and plans go to a folder that the benchmark removes.
				return append([]string{"env", "AZCOPY_LOG_LOCATION=" + b.path("azcopy"),
					"AZCOPY_JOB_PLAN_LOCATION=" + b.path("azcopy"), "AZCOPY_DISABLE_SYSLOG=true",
					"azcopy", "copy", model, target, "--from-to", "LocalBlob", "--log-level", "NONE"}, more...)
			}
		}
		found = append(found, uploader{"azcopy, no checksum", 1.35, azcopy()},
			uploader{"azcopy --put-md5", 0.45, azcopy("--put-md5")})
	} else {
		fmt.Println("no measurement of azcopy: it is not on the PATH")
	}
	if _, err := exec.LookPath("rclone"); err == nil {
		found = append(found, uploader{"rclone, default settings", 0.40, func(address string) []string {
			remote := ":azureblob,account=" + benchAccount + ",key='" + benchKey + "',endpoint='" + address + "':" +
				benchContainer + "/model.gguf"
			return []string{"rclone", "--config", os.DevNull, "copyto", model, remote}
		}})
	} else {
		fmt.Println("no measurement of rclone: it is not on the PATH")
	}
	return found, nil
}

// modelsTo returns the command of a run with a catalogue on the disk and payloads in blobs.
func (b *bench) modelsTo(path, address string) []string {
	return []string{"env", "AZURE_STORAGE_KEY=" + benchKey, b.ingest, "models", path, "--quiet", "--catalog",
		"sqlite:" + b.path("catalog/catalog.db"), "--store", address + "/" + benchContainer}
}

// serveDiscard starts the server that discards what it reads.
func serveDiscard(ctx context.Context) (address string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	address, stop, err = serve(exec.CommandContext(ctx, self, "discard-server"))
	if err != nil {
		err = fmt.Errorf("discarding server: %w", err)
	}
	return address, stop, err
}

// serve starts a server process that prints its address and ends with its standard input. It
// returns the address and a function that stops the server.
func serve(server *exec.Cmd) (address string, stop func(), err error) {
	server.Stderr = os.Stderr
	input, err := server.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	output, err := server.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := server.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = input.Close()
		_ = server.Wait()
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the server did not start: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}

func makeContainer(ctx context.Context, address string) error {
	key, err := azblob.NewSharedKeyCredential(benchAccount, benchKey)
	if err != nil {
		return err
	}
	client, err := azblob.NewClientWithSharedKeyCredential(address, key, nil)
	if err != nil {
		return err
	}
	_, err = client.CreateContainer(ctx, benchContainer, nil)
	return err
}

// resetServer empties the catalogue and the discarding server. check sets whether the server
// checks.
func (b *bench) resetServer(ctx context.Context, address string, check bool) error {
	if err := b.clear("catalog"); err != nil {
		return err
	}
	_, err := control(ctx, http.MethodDelete, address, "check="+strconv.FormatBool(check))
	return err
}

// control sends the discarding server a request that is not part of the protocol. It returns how
// many bytes the server has checked.
func control(ctx context.Context, method, address, query string) (checked int64, err error) {
	root, _, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	request, err := http.NewRequestWithContext(ctx, method, "http://"+root+"/?"+query, nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(text), 10, 64)
}
