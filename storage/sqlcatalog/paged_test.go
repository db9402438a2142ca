package sqlcatalog

import (
	"errors"
	"slices"
	"testing"
)

// upTo returns pages of at most three numbers, from 1 to end, and an error after fail unless that
// is 0.
func upTo(end, fail int, broken error) func(int) ([]int, error) {
	return func(last int) (page []int, err error) {
		for len(page) < 3 && last < end {
			last++
			page = append(page, last)
			if last == fail {
				return page, broken
			}
		}
		return page, nil
	}
}

func TestPaged(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		end, fail int
		want      []int
		err       error
	}{
		"none":                             {0, 0, nil, nil},
		"a part of a page":                 {2, 0, []int{1, 2}, nil},
		"a page":                           {3, 0, []int{1, 2, 3}, nil},
		"several":                          {7, 0, []int{1, 2, 3, 4, 5, 6, 7}, nil},
		"an error at once":                 {7, 1, nil, broken},
		"an error within a page":           {7, 5, []int{1, 2, 3}, broken},
		"an error with the last of a page": {7, 6, []int{1, 2, 3}, broken},
	} {
		t.Run(name, func(t *testing.T) {
			var got []int
			var failed error
			for n, err := range paged(upTo(test.end, test.fail, broken)) {
				if failed != nil {
					t.Fatalf("%d, %v after an error", n, err)
				}
				if failed = err; err == nil {
					got = append(got, n)
				}
			}
			if !slices.Equal(got, test.want) || !errors.Is(failed, test.err) {
				t.Errorf("%v, %v; want %v, %v", got, failed, test.want, test.err)
			}
		})
	}
}

// A consumer that stops early causes no further reads.
func TestPagedStops(t *testing.T) {
	calls := 0
	fetch := upTo(100, 0, nil)
	for n := range paged(func(last int) ([]int, error) { calls++; return fetch(last) }) {
		if n == 4 {
			break
		}
	}
	if calls != 2 {
		t.Errorf("%d pages were read", calls)
	}
}
