package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rivo/uniseg"
	"golang.org/x/term"

	"github.com/hartonomous/ingest/ingest"
)

// table prints rows in columns. The first row is the heading.
func (p *program) table(rows [][]any) { writeTable(p.stdout, rows) }

func writeTable(to io.Writer, rows [][]any) {
	texts := make([][]string, len(rows))
	for i, row := range rows {
		texts[i] = make([]string, len(row))
		for j, cell := range row {
			if text, ok := cell.(string); ok {
				texts[i][j] = ingest.Printable(text)
			} else {
				texts[i][j] = fmt.Sprint(cell)
			}
		}
	}
	writeColumns(to, texts)
}

// writeColumns writes rows of printable texts in columns. The last cell of a row may be wider than its
// column.
func writeColumns(to io.Writer, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i := range len(row) - 1 {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], textWidth(row[i]))
		}
	}
	out := bufio.NewWriter(to)
	for _, row := range rows {
		for i, cell := range row {
			out.WriteString(cell)
			if i < len(row)-1 {
				out.WriteString(strings.Repeat(" ", widths[i]+columnGap-textWidth(cell)))
			}
		}
		out.WriteByte('\n')
	}
	out.Flush()
}

// columnGap is the number of spaces between columns.
const columnGap = 2

// textWidth returns the width of a printable text on a terminal.
func textWidth(text string) int {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return uniseg.StringWidth(text)
		}
	}
	return len(text)
}

// terminalColumns returns the width of the terminal that w writes to, or 0.
func terminalColumns(w io.Writer) int {
	switch w := w.(type) {
	case *screenWriter:
		return terminalColumns(w.Writer)
	case *checkedWriter:
		return terminalColumns(w.Writer)
	case *os.File:
		if width, _, err := term.GetSize(int(w.Fd())); err == nil {
			return width
		}
	}
	return 0
}

// column is a column of a table that fits the terminal.
type column struct {
	heading string
	flex    bool // its cells may be cut
	drop    int  // the column with the lowest number is dropped first; 0 stays
}

// minFlex is the width of a column of names below which other columns are dropped.
const minFlex = 16

// fit returns which columns fit a terminal of the given width, and the width of each, by the widths of
// their widest cells. A width of 0 is no limit.
func fit(all []column, widest []int, width int) (shown []int, widths []int) {
	for i := range all {
		shown = append(shown, i)
	}
	widths = append(widths, widest...)
	for width > 0 {
		room, flexible, natural := width-columnGap*(len(shown)-1), []int(nil), 0
		for _, i := range shown {
			if all[i].flex {
				flexible, natural = append(flexible, i), natural+widest[i]
			} else {
				room -= widest[i]
			}
		}
		next := firstToDrop(all, shown)
		if natural <= room {
			break
		}
		if room < minFlex*len(flexible) && next >= 0 {
			shown = append(append([]int(nil), shown[:next]...), shown[next+1:]...)
			continue
		}
		share(widths, flexible, max(room, minFlex*len(flexible)))
		break
	}
	return shown, widths
}

// firstToDrop returns the index in shown of the column to drop first, or -1.
func firstToDrop(all []column, shown []int) int {
	first := -1
	for k, i := range shown {
		if all[i].drop > 0 && (first < 0 || all[i].drop < all[shown[first]].drop) {
			first = k
		}
	}
	return first
}

// share divides room among the columns: those that need less than an equal share get what they need.
func share(widths, flexible []int, room int) {
	for len(flexible) > 0 {
		least := 0
		for k, i := range flexible {
			if widths[i] < widths[flexible[least]] {
				least = k
			}
		}
		i := flexible[least]
		widths[i] = min(widths[i], room/len(flexible))
		room -= widths[i]
		flexible = append(append([]int(nil), flexible[:least]...), flexible[least+1:]...)
	}
}
