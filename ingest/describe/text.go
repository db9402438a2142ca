package describe

import (
	"encoding/json"
	"unicode/utf8"
)

// Text is any bytes, as paths and names may be. In JSON, it is a string, or an object with the bytes if they
// are not UTF-8.
type Text string

type textBytes struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(textBytes{[]byte(t)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(text []byte) error {
	if len(text) == 0 || text[0] != '{' {
		return json.Unmarshal(text, (*string)(t))
	}
	var b textBytes
	err := json.Unmarshal(text, &b)
	*t = Text(b.Base64)
	return err
}
