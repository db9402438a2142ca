package tdstest

import "maps"

// State is data of handlers: rows by key, which are changed in the transaction of the request. The
// zero value is empty. Only handlers may use it, and tests within [Server.Do].
type State[K comparable, V any] struct {
	rows map[K]V
}

// Get returns a row.
func (s *State[K, V]) Get(key K) (V, bool) {
	row, ok := s.rows[key]
	return row, ok
}

// Put sets a row. A rollback undoes it.
func (s *State[K, V]) Put(req *Request, key K, row V) {
	s.restore(req, key)
	if s.rows == nil {
		s.rows = make(map[K]V)
	}
	s.rows[key] = row
}

// Delete removes a row. A rollback undoes it.
func (s *State[K, V]) Delete(req *Request, key K) {
	s.restore(req, key)
	delete(s.rows, key)
}

// All returns a copy of all rows.
func (s *State[K, V]) All() map[K]V { return maps.Clone(s.rows) }

// Len returns the number of rows.
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
