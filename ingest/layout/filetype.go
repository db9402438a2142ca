package layout

import "encoding/json"

// unknownType is the type of files that do not tell it.
const unknownType = "unknown"

// fileTypes are the names of general.file_type (enum llama_ftype of llama.cpp's include/llama.h).
var fileTypes = map[int]string{0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
	11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
	19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S",
	27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0",
	38: "MXFP4_MOE"}

// key reads a key of the model's metadata into a value.
func (m *Model) key(name string, into any) bool {
	var keys map[string]json.RawMessage
	if json.Unmarshal(m.Metadata, &keys) != nil {
		return false
	}
	return json.Unmarshal(keys[name], into) == nil
}

func (m *Model) text(name string) (text string) {
	m.key(name, &text)
	return text
}

// fileType returns the quantization of a GGUF model.
func (m *Model) fileType() string {
	var number int
	if !m.key("general.file_type", &number) || fileTypes[number] == "" {
		return unknownType
	}
	return fileTypes[number]
}
