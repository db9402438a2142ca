package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest/codec/codectest"
	"github.com/hartonomous/ingest/ingest/format/gguf"
)

// The trained weights of codecs. They are beside the checkout.
var (
	trainedFolder      = filepath.Join("..", "shared", "testdata")
	trainedGGUF        = []string{"crabml_crabml/tinyllamas-stories-260k-f32.gguf", "ggml-org_ggml/superpoint.gguf"}
	trainedSafetensors = []string{"snakers4_silero-vad/silero_vad_16k.safetensors",
		"tracel-ai_burn/95814d45-examples~import-model-weights~weights~mnist.safetensors"}
	vocabulary = "gguf/ggerganov_llama.cpp/ggml-vocab-gpt2.gguf"
)

// payload is what codecs are measured with.
type payload struct {
	name, typ string
	bytes     []byte
}

// generatedBytes is the size of generated payloads.
const generatedBytes = 8 << 20

func generatedPayloads() (payloads []payload) {
	weights := codectest.Weights(1, generatedBytes)
	for _, typ := range codectest.Types {
		p := codectest.Payload(typ, weights)
		payloads = append(payloads, payload{"generated", typ, p[:min(len(p), generatedBytes)]})
	}
	return payloads
}

// trainedPayloads returns trained weights by type. F32 is also converted to the other types. Without
// the folder there are none.
func trainedPayloads() ([]payload, error) {
	if _, err := os.Stat(trainedFolder); err != nil {
		fmt.Printf("%s is missing: no measurement of trained weights\n", trainedFolder)
		return nil, nil
	}
	byType := map[string][]byte{}
	for _, name := range trainedGGUF {
		if err := addGGUF(byType, filepath.Join(trainedFolder, "gguf", name)); err != nil {
			return nil, err
		}
	}
	for _, name := range trainedSafetensors {
		if err := addSafetensors(byType, filepath.Join(trainedFolder, "safetensors", name)); err != nil {
			return nil, err
		}
	}
	text, err := os.ReadFile(filepath.Join(trainedFolder, vocabulary))
	if err != nil {
		return nil, err
	}
	weights := make([]float32, len(byType["F32"])/4)
	for i := range weights {
		weights[i] = math.Float32frombits(binary.LittleEndian.Uint32(byType["F32"][4*i:]))
	}
	payloads := []payload{{"F16 file", "F16", byType["F16"]}, {"vocabulary", "", text}}
	for _, typ := range codectest.Types {
		payloads = append(payloads, payload{"trained", typ, codectest.Payload(typ, weights)})
	}
	return payloads, nil
}

func addGGUF(byType map[string][]byte, path string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	parsed, err := gguf.Parse(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return err
	}
	for _, tensor := range parsed.Tensors {
		if tensor.Elements%32 == 0 {
			name := tensor.Type.String()
			byType[name] = append(byType[name], file[tensor.Offset:tensor.Offset+tensor.Size]...)
		}
	}
	return nil
}

func addSafetensors(byType map[string][]byte, path string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	start := 8 + int(binary.LittleEndian.Uint64(file))
	var header map[string]struct {
		Dtype   string
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(file[8:start], &header); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, tensor := range header {
		if size := tensor.Offsets[1] - tensor.Offsets[0]; tensor.Dtype == "F32" && size%128 == 0 {
			byType["F32"] = append(byType["F32"], file[start+tensor.Offsets[0]:start+tensor.Offsets[1]]...)
		}
	}
	return nil
}
