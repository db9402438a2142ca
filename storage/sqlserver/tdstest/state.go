package tdstest

import "maps"

// State is what handlers keep of the server's data: rows by key, changed within
// the transaction of the request that changes them. The zero value is empty.
// It belongs to the handlers; a test looks at it within [Server.Do].
type State[K comparable, V any] struct {
	rows map[K]V
}

// Get returns a row.
func (s *State[K, V]) Get(key K) (V, bool) {
	row, ok := s.rows[key]
	return row, ok
}

// Put sets a row, until the transaction is rolled back.
func (s *State[K, V]) Put(req *Request, key K, row V) {
	s.restore(req, key)
	if s.rows == nil {
		s.rows = make(map[K]V)
	}
	s.rows[key] = row
}

// Delete removes a row, until the transaction is rolled back.
func (s *State[K, V]) Delete(req *Request, key K) {
	s.restore(req, key)
	delete(s.rows, key)
}

// All returns a copy of all rows.
func (s *State[K, V]) All() map[K]V { return maps.Clone(s.rows) }

// Len returns how many rows there are.
func (s *State[K, V]) Len() int { return len(s.rows) }

func (s *State[K, V]) restore(req *Request, key K) {
	before, existed := s.rows[key]
	req.OnRollback(func() {
		if existed {
			s.rows[key] = before
		} else {
			delete(s.rows, key)
		}
	})
}
