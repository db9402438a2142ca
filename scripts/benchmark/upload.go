package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
)

// The account of the server that discards. Nobody checks the key or the signature.
const (
	benchAccount = "devstoreaccount1"
	benchKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	benchSAS     = "sv=2024-11-04&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00:00:00Z&spr=https,http&sig=AAAA"
)

// upload measures a run into Blob Storage, with a server that reads and discards in its place, and the programs that
// copy a file there, as far as they are on the PATH. They make no rows and, but for what is said, no checksums.
func (b *bench) upload(ctx context.Context) error {
	model := b.path("model.gguf")
	if _, err := os.Stat(model); err != nil {
		if err := b.makeModel(model, b.gib); err != nil {
			return err
		}
	}
	address, stop, err := b.serve(ctx)
	if err != nil {
		return err
	}
	defer stop()
	fresh := func() error {
		if err := b.clear("catalog"); err != nil {
			return err
		}
		return forgetBlobs(ctx, address)
	}
	ours := &contender{name: "ingest models, both SHA-256 and CRC64", prepare: fresh, command: b.modelsTo(model, address+"/bench")}
	again := &contender{name: "ingest models, content stored already", prepare: func() error { return b.clear("catalog") }, command: b.modelsTo(model, address+"/bench")}
	contenders := []*contender{ours, again}
	copiers := b.copiers(model, address, fresh)
	for _, c := range copiers {
		contenders = append(contenders, c.contender)
	}
	if err := compare(ctx, b.rounds, contenders...); err != nil {
		return err
	}
	fmt.Printf("a GGUF file of %d GiB to a server that discards, medians of %d\n", b.gib, b.rounds)
	for _, c := range contenders {
		c.print()
	}
	fmt.Printf("  peak memory                                            %.0f MiB (goal 100)\n", ours.median(peak))
	for _, c := range copiers {
		fmt.Printf("  ratio to %-45s %.2f (goal %.2f)\n", c.name, ours.ratio(c.contender), c.goal)
	}
	return nil
}

// copier is another program that uploads, and what our time is to be of its time, at most.
type copier struct {
	*contender
	goal float64
}

func (b *bench) copiers(model, address string, fresh func() error) []copier {
	var found []copier
	add := func(goal float64, name string, command ...string) {
		if _, err := exec.LookPath(command[0]); err != nil {
			fmt.Printf("%s is not on the PATH: left out\n", command[0])
			return
		}
		found = append(found, copier{&contender{name: name, prepare: fresh, command: command}, goal})
	}
	target := address + "/bench/model.gguf?" + benchSAS
	// Its logs and plans go where the benchmark cleans up.
	home := []string{"env", "AZCOPY_LOG_LOCATION=" + b.path("azcopy"), "AZCOPY_JOB_PLAN_LOCATION=" + b.path("azcopy"), "AZCOPY_DISABLE_SYSLOG=true"}
	if _, err := exec.LookPath("azcopy"); err == nil {
		add(1.35, "azcopy, no checksum", append(home, "azcopy", "copy", model, target, "--from-to", "LocalBlob", "--log-level", "NONE")...)
		add(0.45, "azcopy --put-md5", append(home, "azcopy", "copy", model, target, "--from-to", "LocalBlob", "--log-level", "NONE", "--put-md5")...)
	} else {
		fmt.Println("azcopy is not on the PATH: left out")
	}
	remote := ":azureblob,account=" + benchAccount + ",key='" + benchKey + "',endpoint='" + address + "':bench/model.gguf"
	add(0.40, "rclone as it comes", "rclone", "--config", os.DevNull, "copyto", model, remote)
	return found
}

// modelsTo is a run with its catalogue on the disk and its payloads at a blob address.
func (b *bench) modelsTo(path, store string) []string {
	return []string{"env", "AZURE_STORAGE_KEY=" + benchKey, b.ingest, "models", path, "--quiet", "--catalog", "sqlite:" + b.path("catalog/catalog.db"), "--store", store}
}

// serve starts the server as a process of its own and returns its address and what ends it.
func (b *bench) serve(ctx context.Context) (address string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	server := exec.CommandContext(ctx, self, "discard-server")
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
		return "", nil, fmt.Errorf("the server that discards did not start: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}

// forgetBlobs makes the server forget what it was sent.
func forgetBlobs(ctx context.Context, address string) error {
	root, _, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, "http://"+root+"/", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return err
}
