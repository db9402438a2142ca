package storage

import (
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// everyAbility is what a wrapper has that passes all verbs on, whether or not the store behind it has them.
type everyAbility interface {
	ingest.Store
	ingest.Sweeper
	ingest.Claimer
	ingest.Placer
	ingest.Prober
	ingest.Announcer
	ingest.FilePutter
}

// withAbilitiesOf returns wrapper with the abilities that store has and no other: whoever asks a wrapped store what
// it can do gets the store's own answer. Methods belong to a type, so each set of abilities is a type of its own;
// these are the sets that there are, and a new one must not lose an ability unseen.
func withAbilitiesOf(store ingest.Store, wrapper everyAbility) ingest.Store {
	_, sweeps := store.(ingest.Sweeper)
	_, claims := store.(ingest.Claimer)
	_, places := store.(ingest.Placer)
	_, probes := store.(ingest.Prober)
	_, announces := store.(ingest.Announcer)
	_, files := store.(ingest.FilePutter)
	switch [6]bool{sweeps, claims, places, probes, announces, files} {
	case [6]bool{}:
		return struct{ ingest.Store }{wrapper}
	case [6]bool{true, true, false, false, false, false}:
		return struct {
			ingest.Store
			ingest.Sweeper
			ingest.Claimer
		}{wrapper, wrapper, wrapper}
	case [6]bool{true, true, false, true, true, true}:
		return struct {
			ingest.Store
			ingest.Sweeper
			ingest.Claimer
			ingest.Prober
			ingest.Announcer
			ingest.FilePutter
		}{wrapper, wrapper, wrapper, wrapper, wrapper, wrapper}
	case [6]bool{true, true, true, true, true, true}:
		return wrapper
	default:
		panic(fmt.Sprintf("a wrapper does not know the abilities of %T: sweeps %v, claims %v, places %v, probes %v, announces %v, puts files %v",
			store, sweeps, claims, places, probes, announces, files))
	}
}
