package tdstest

import (
	"encoding/binary"
	"math"
	"time"
)

// decode converts the bytes of a value to the value that a handler gets.
func (w wire) decode(raw []byte) (any, error) {
	switch {
	case w.id == wireBit || w.id == wireBitN:
		return raw[0] != 0, nil
	case w.id == wireTinyInt || w.id == wireSmallInt || w.id == wireInt || w.id == wireBigInt || w.id == wireIntN:
		return decodeInt(raw)
	case w.id == wireReal || w.id == wireFloat || w.id == wireFloatN:
		return decodeFloat(raw)
	case w.id == wireGUID:
		return decodeGUID(raw)
	case w.wide() && len(raw)%2 != 0:
		return nil, Err(4895)
	case w.wide():
		return decodeUTF16(raw), nil
	case w.text():
		return decodeLatin(raw), nil
	case w.id == wireBinary && len(raw) < w.size:
		return append(raw, make([]byte, w.size-len(raw))...), nil // as it is stored
	case w.short():
		return raw, nil
	case w.decimal():
		return decodeDecimal(raw, int(w.scale)), nil
	}
	return w.decodeTime(raw)
}

func decodeInt(raw []byte) (any, error) {
	switch len(raw) {
	case 1:
		return int64(raw[0]), nil
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(raw))), nil
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(raw))), nil
	case 8:
		return int64(binary.LittleEndian.Uint64(raw)), nil
	}
	return nil, errProtocol
}

func decodeFloat(raw []byte) (any, error) {
	switch len(raw) {
	case 4:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))), nil
	case 8:
		return math.Float64frombits(binary.LittleEndian.Uint64(raw)), nil
	}
	return nil, errProtocol
}

// encode converts a value that fit has returned to bytes.
func (w wire) encode(value any) []byte {
	switch v := value.(type) {
	case bool:
		if v {
			return []byte{1}
		}
		return []byte{0}
	case int64:
		return intBytes(v, w.size)
	case float64:
		if w.size == 4 {
			return binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(v)))
		}
		return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))
	case GUID:
		return v.bytes()
	case time.Time:
		return w.encodeTime(v)
	case []byte:
		return v
	case string:
		switch {
		case w.wide():
			return encodeUTF16(v)
		case w.decimal():
			return encodeDecimal(v, int(w.scale))
		}
		return encodeLatin(v)
	}
	panic("a value that fits no type") // fit returns none
}

// The first day of the types with dates, 1 January of the year 1, and that of datetime.
var (
	firstDay    = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	datetimeDay = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
)

const day = 24 * time.Hour

// days returns the days since firstDay. A Duration cannot hold that many.
func days(t time.Time) int64 { return (t.Unix() - firstDay.Unix()) / int64(day/time.Second) }

func (w wire) decodeTime(raw []byte) (any, error) {
	switch {
	case w.id == wireDateTime || w.id == wireDateTimeN:
		if len(raw) != 8 {
			return nil, errProtocol
		}
		thirds := int64(binary.LittleEndian.Uint32(raw[4:]))
		date := datetimeDay.AddDate(0, 0, int(int32(binary.LittleEndian.Uint32(raw))))
		return date.Add(time.Duration(thirds * int64(time.Second) / 300)).Round(time.Millisecond), nil
	case w.id == wireDate && len(raw) == 3:
		return dateOf(raw), nil
	case w.id == wireTime && len(raw) == clockBytes(w.scale):
		return firstDay.Add(w.clock(raw)), nil
	case w.id == wireDateTime2 && len(raw) == clockBytes(w.scale)+3:
		at := len(raw) - 3
		return dateOf(raw[at:]).Add(w.clock(raw[:at])), nil
	case w.id == wireDateTimeOffset && len(raw) == clockBytes(w.scale)+5:
		at := len(raw) - 5
		minutes := int(int16(binary.LittleEndian.Uint16(raw[at+3:])))
		utc := dateOf(raw[at : at+3]).Add(w.clock(raw[:at]))
		return utc.In(time.FixedZone("", 60*minutes)), nil
	}
	return nil, errProtocol
}

func (w wire) encodeTime(t time.Time) []byte {
	switch w.id {
	case wireDateTime, wireDateTimeN:
		t = wall(t)
		since := days(t) - days(datetimeDay)
		thirds := (clockOf(t)*300 + time.Second/2) / time.Second
		return append(intBytes(since, 4), intBytes(int64(thirds), 4)...)
	case wireDate:
		return intBytes(days(wall(t)), 3)
	case wireTime:
		return w.clockBytes(wall(t))
	case wireDateTimeOffset:
		_, offset := t.Zone()
		utc := t.UTC()
		raw := append(w.clockBytes(utc), intBytes(days(utc), 3)...)
		return append(raw, intBytes(int64(offset/60), 2)...)
	}
	return append(w.clockBytes(wall(t)), intBytes(days(wall(t)), 3)...)
}

// wall returns the local date and time of t in UTC, for types without a time zone.
func wall(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

func dateOf(raw []byte) time.Time {
	return firstDay.AddDate(0, 0, int(raw[0])|int(raw[1])<<8|int(raw[2])<<16)
}

func clockOf(t time.Time) time.Duration {
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute +
		time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
}

// clockBytes returns the length of the time of day at a scale.
func clockBytes(scale byte) int { return []int{3, 3, 3, 4, 4, 5, 5, 5}[scale] }

// tick returns the unit of a scale.
func (w wire) tick() time.Duration {
	unit := time.Second
	for range w.scale {
		unit /= 10
	}
	return unit
}

func (w wire) clock(raw []byte) time.Duration {
	count := binary.LittleEndian.Uint64(append(append([]byte{}, raw...), make([]byte, 8-len(raw))...))
	return time.Duration(count) * w.tick()
}

func (w wire) clockBytes(t time.Time) []byte {
	return intBytes(int64(clockOf(t)/w.tick()), clockBytes(w.scale))
}
