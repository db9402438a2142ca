package main

import (
	"bufio"
	"context"
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

// The account that Azurite has. The server that discards checks neither key nor signature.
const (
	benchAccount   = "devstoreaccount1"
	benchKey       = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	benchContainer = "bench"
)

// uploader is a program that uploads a file, and what our time is to be of its time, at most.
type uploader struct {
	name    string
	goal    float64
	command func(address string) []string // address is the account's
}

// upload measures a run into Blob Storage, with a server that reads and discards in its place, and the programs that
// copy a file there, as far as they are on the PATH. They make no rows and, but for what is said, no checksums. The
// server checks what it is sent in the round that is not counted.
func (b *bench) upload(ctx context.Context) error {
	model, err := b.model()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	address, stop, err := serve(exec.CommandContext(ctx, self, "discard-server"))
	if err != nil {
		return fmt.Errorf("the server that discards: %w", err)
	}
	defer stop()
	rounds := 0
	ours := &contender{name: "ingest models, both SHA-256 and CRC64", command: b.modelsTo(model, address),
		prepare: func() error {
			rounds++
			return b.fresh(ctx, address, rounds == 1)
		}}
	again := &contender{name: "ingest models, content stored already",
		prepare: func() error { return b.clear("catalog") }, command: b.modelsTo(model, address)}
	contenders, goals := []*contender{ours, again}, map[*contender]float64{}
	others, err := b.others(model)
	if err != nil {
		return err
	}
	for _, u := range others {
		c := &contender{name: u.name, command: u.command(address),
			prepare: func() error { return b.fresh(ctx, address, false) }}
		contenders, goals[c] = append(contenders, c), u.goal
	}
	if err := compare(ctx, b.rounds, contenders...); err != nil {
		return err
	}
	checked, err := tell(ctx, http.MethodGet, address, "")
	if err != nil {
		return err
	}
	info, err := os.Stat(model)
	if err != nil {
		return err
	}
	if checked < info.Size() {
		return fmt.Errorf("the server has checked %d bytes of %d", checked, info.Size())
	}
	fmt.Printf("a GGUF file of %d GiB to a server that discards, medians of %d\n", b.gib, b.rounds)
	for _, c := range contenders {
		c.print()
	}
	fmt.Printf("  peak memory                                            %.0f MiB (goal 100)\n", ours.median(peak))
	for _, c := range contenders[2:] {
		fmt.Printf("  ratio to %-45s %.2f (goal %.2f)\n", c.name, ours.ratio(c), goals[c])
	}
	return nil
}

// uploadToAzurite measures the same with Azurite, which keeps what it is sent in memory, and checks
// signatures. It is the slow
// part of each: no goal is set. Each run has an Azurite of its own, for it gives memory back late.
func (b *bench) uploadToAzurite(ctx context.Context) error {
	if out, err := exec.CommandContext(ctx, "scripts/azurite", "install").CombinedOutput(); err != nil {
		fmt.Printf("Azurite is left out: %v %s\n", err, strings.TrimSpace(string(out)))
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
			if address, stop, err = serve(exec.CommandContext(ctx, "scripts/azurite", "start",
				"--memory")); err != nil {
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
	for _, c := range contenders {
		c.print()
	}
	return nil
}

// model is the file that is uploaded.
func (b *bench) model() (string, error) {
	path := b.path("model.gguf")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, b.makeModel(path, b.gib)
}

// others are the other programs that are on the PATH.
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
				// Its logs and plans go where the benchmark cleans up.
				return append([]string{"env", "AZCOPY_LOG_LOCATION=" + b.path("azcopy"),
					"AZCOPY_JOB_PLAN_LOCATION=" + b.path("azcopy"), "AZCOPY_DISABLE_SYSLOG=true",
					"azcopy", "copy", model, target, "--from-to", "LocalBlob", "--log-level", "NONE"}, more...)
			}
		}
		found = append(found, uploader{"azcopy, no checksum", 1.35, azcopy()},
			uploader{"azcopy --put-md5", 0.45, azcopy("--put-md5")})
	} else {
		fmt.Println("azcopy is not on the PATH: left out")
	}
	if _, err := exec.LookPath("rclone"); err == nil {
		found = append(found, uploader{"rclone as it comes", 0.40, func(address string) []string {
			remote := ":azureblob,account=" + benchAccount + ",key='" + benchKey + "',endpoint='" + address + "':" +
				benchContainer + "/model.gguf"
			return []string{"rclone", "--config", os.DevNull, "copyto", model, remote}
		}})
	} else {
		fmt.Println("rclone is not on the PATH: left out")
	}
	return found, nil
}

// modelsTo is a run with its catalogue on the disk and its payloads at a blob address.
func (b *bench) modelsTo(path, address string) []string {
	return []string{"env", "AZURE_STORAGE_KEY=" + benchKey, b.ingest, "models", path, "--quiet", "--catalog",
		"sqlite:" + b.path("catalog/catalog.db"), "--store", address + "/" + benchContainer}
}

// serve starts a server as a process of its own, which prints its address and ends with its standard
// input, and returns the
// address and what ends it.
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
		return "", nil, fmt.Errorf("it did not start: %w", err)
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

// fresh makes the server that discards forget what it was sent, and says whether it is to check what it is sent next.
func (b *bench) fresh(ctx context.Context, address string, check bool) error {
	if err := b.clear("catalog"); err != nil {
		return err
	}
	_, err := tell(ctx, http.MethodDelete, address, "check="+strconv.FormatBool(check))
	return err
}

// tell speaks to the server that discards, beside the protocol, and returns how many bytes it has checked.
func tell(ctx context.Context, method, address, query string) (checked int64, err error) {
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
