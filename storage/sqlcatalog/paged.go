package sqlcatalog

import "iter"

// pageRows is how many rows a sequence reads at a time.
const pageRows = 1000

// paged yields the items of the pages that fetch returns, until a page is empty. fetch gets the
// last item of the page before, and the zero value at first. Between pages nothing is held, so a
// slow consumer keeps no connection, lock or snapshot. An error ends the sequence; the page that
// came with it is dropped, as its last item may be half read.
func paged[T any](fetch func(last T) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var last, none T
		for {
			page, err := fetch(last)
			if err != nil {
				yield(none, err)
				return
			}
			for _, item := range page {
				if !yield(item, nil) {
					return
				}
				last = item
			}
			if len(page) == 0 {
				return
			}
		}
	}
}
