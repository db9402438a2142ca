package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteSize is a flag for a size: 96MiB, 8M, 1GiB or a number of bytes. Units are powers of 1,024.
type byteSize int64

var units = []struct {
	name string
	size int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// Set reads a number with a unit.
func (b *byteSize) Set(text string) error {
	number := strings.TrimSpace(text)
	scale := int64(1)
	for _, unit := range units {
		for _, suffix := range []string{unit.name, unit.name[:1] + "B", unit.name[:1]} {
			if len(number) > len(suffix) && strings.EqualFold(number[len(number)-len(suffix):], suffix) && scale == 1 {
				number, scale = strings.TrimSpace(number[:len(number)-len(suffix)]), unit.size
			}
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/scale {
		return fmt.Errorf("%q is not a size: want a number and a unit, as in 512MiB or 2GiB", text)
	}
	*b = byteSize(n * scale)
	return nil
}

// String writes the size with the largest unit that divides it.
func (b *byteSize) String() string {
	for _, unit := range units {
		if *b != 0 && int64(*b)%unit.size == 0 {
			return fmt.Sprintf("%d%s", int64(*b)/unit.size, unit.name)
		}
	}
	return strconv.FormatInt(int64(*b), 10)
}

// Type names the flag's value in the help.
func (b *byteSize) Type() string { return "size" }

// human formats a number of bytes for a person. Units are powers of 1,024.
func human(bytes int64) string {
	for _, unit := range units {
		if bytes >= unit.size || bytes <= -unit.size {
			return fmt.Sprintf("%.1f %s", float64(bytes)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%d B", bytes)
}

// humanCount formats a number of parameters for a person, as in 7.2B; 0 is empty.
func humanCount(n int64) string {
	if n == 0 {
		return ""
	}
	value, unit := float64(n), ""
	for _, next := range []string{"K", "M", "B", "T"} {
		if value < 999.95 {
			break
		}
		value, unit = value/1000, next
	}
	if unit == "" {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%.1f%s", value, unit)
}
