package oci

import (
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

var hex = strings.Repeat("a1", 32)

func TestParse(t *testing.T) {
	list, err := ParseIndex([]byte(`{"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json",` +
		`"digest":"sha256:` + hex + `","size":7,"annotations":{"org.opencontainers.image.ref.name":"latest"}},` +
		`{"digest":"sha256:` + hex +
		`","annotations":{"org.opencontainers.image.ref.name":"v1","io.containerd.image.name":"host/me/x:v1"}}]}`))
	if err != nil || len(list) != 2 || !list[0].Index || list[0].Name != "latest" ||
		list[1].Index || list[1].Name != "host/me/x:v1" || list[1].Digest.String() != hex {
		t.Errorf("%+v, %v", list, err)
	}
	list, err = ParseModels([]byte(`{"models":[{"id":"sha256:` + hex +
		`","tags":["index.docker.io/ai/x:latest","hf.co/me/y:q4"]},{"id":"sha256:` + hex + `"}]}`))
	if err != nil || len(list) != 3 || list[0].Name != "ai/x:latest" || list[1].Name != "hf.co/me/y:q4" ||
		list[2].Name != "" {
		t.Errorf("%+v, %v", list, err)
	}
	for text, want := range map[string]string{"": "unexpected end", `{"manifests":7,"models":7}`: "json",
		`{"manifests":[{"digest":"../../etc/passwd"}],"models":[{"id":"../../etc/passwd"}]}`: "is not a digest",
		`{"manifests":[{"digest":"` + strings.Repeat("a", 1000) + `"}],"models":[{"id":"` + strings.Repeat("a", 1000) +
			`"}]}`: "a digest of 1000 characters"} {
		for _, parse := range []func([]byte) ([]Descriptor, error){ParseIndex, ParseModels} {
			if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%.50s: %v, want %s", text, err, want)
			}
		}
	}
}

func TestRole(t *testing.T) {
	for _, test := range []struct {
		mediaType, path string
		want            ingest.Role
	}{
		{"application/vnd.docker.ai.gguf.v3", "", ingest.Weights},
		{"application/vnd.docker.ai.safetensors", "", ingest.Weights},
		{"application/vnd.docker.ai.mmproj", "", ingest.Projector},
		{"application/vnd.docker.ai.license", "", ingest.License},
		{"application/vnd.docker.ai.chat.template.jinja", "", ingest.Template},
		{"application/vnd.docker.ai.vllm.config.tar", "", ingest.Config},
		{"application/vnd.cncf.model.weight.v1.raw", "", ingest.Weights},
		{"application/vnd.cncf.model.weight.v1.tar+zstd", "", ingest.Weights},
		{"application/vnd.cncf.model.weight.config.v1.raw", "", ingest.Config},
		{"application/vnd.cncf.model.doc.v1.raw", "", "readme"},
		{"application/octet-stream", "a/model.GGUF", ingest.Weights},
		{"application/octet-stream", "a/notes.txt", ""},
		{"application/vnd.oci.image.layer.v1.tar+gzip", "", ""},
	} {
		if got := Role(test.mediaType, test.path); got != test.want {
			t.Errorf("%s %s: %q, want %q", test.mediaType, test.path, got, test.want)
		}
	}
}

func TestNameCountsWhileTheTagIsItsOwn(t *testing.T) {
	for tag, want := range map[string]string{"tiny-chat": "tiny chat", "tiny-chat-01234567": "tiny chat", "v1": "v1"} {
		digest := "sha256:" + strings.Repeat("0", 63) + "1"
		list, err := ParseIndex([]byte(`{"manifests":[{"digest":"` + digest + `","annotations":{
			"org.opencontainers.image.ref.name":"` + tag + `","com.github.hartonomous.ingest.name":"tiny chat"}}]}`))
		if err != nil || list[0].Name != want {
			t.Errorf("tag %s: %+v, %v, want name %s", tag, list, err, want)
		}
	}
}

func TestTag(t *testing.T) {
	for name, want := range map[string]string{"llama3:latest": "llama3-latest", "a/b@c": "a-b-c", "": "model",
		"..": "model", "日本": "model", ".x_Y": "x_Y", strings.Repeat("x", 200): strings.Repeat("x", 100)} {
		if got := Tag(name); got != want {
			t.Errorf("%q has tag %q, want %q", name, got, want)
		}
	}
}

func TestProjectorsAreToldByTheirNames(t *testing.T) {
	for file, want := range map[string]ingest.Role{"sub/mmproj-x.gguf": ingest.Projector, "x.gguf": ingest.Weights,
		"mmproj/x.gguf": ingest.Weights, "mmproj.safetensors": ingest.Weights} {
		if got := Role("application/vnd.cncf.model.weight.v1.raw", file); got != want {
			t.Errorf("%s is %s, want %s", file, got, want)
		}
	}
}
