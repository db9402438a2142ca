package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// writeUntil changes rows at random, as another program does, until stop is closed.
func (r *registry) writeUntil(stop chan struct{}) {
	actions := []func(*outside){r.insertNew, r.insertTwin, r.respell, r.touch, r.annotate, r.refer, r.refer, r.refer,
		r.fillPayload, r.remove}
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(2+r.random.IntN(8)) * time.Millisecond):
		}
		action := actions[r.random.IntN(len(actions))]
		kept := r.paths
		r.paths = maps.Clone(r.paths)
		if err := r.database().outside(r.Context(), action); err != nil {
			r.paths = kept
			if !r.tsql { // a server may choose it as the victim of a deadlock
				r.Error(err)
				return
			}
		}
		r.wrote++
	}
}

// single returns a content with one row that moves; nil if the one that it chose has more.
func (r *registry) single() (*content, *otherAtom) {
	c := r.contents[r.random.IntN(len(r.contents))]
	if c.fate != moves || len(c.rows) != 1 {
		return nil, nil
	}
	return c, c.rows[0]
}

// insertNew inserts the row of a new file.
func (r *registry) insertNew(o *outside) {
	if len(r.contents) > r.most {
		return
	}
	c := kinds[[]string{"right", "lying", "renamed", "twins"}[r.random.IntN(4)]](r, 100<<10)
	for _, a := range c.rows {
		o.insert(a)
	}
	r.commit(o, c)
}

// commit adds a content whose rows are inserted.
func (r *registry) commit(o *outside, c *content) {
	if o.err != nil {
		return
	}
	for _, a := range c.rows {
		r.paths[a.locator] = c.digest
		r.reused(a.id)
	}
	r.contents = append(r.contents, c)
}

// reused removes a row that was merged with another one and whose ID SQLite has given to a new row.
func (r *registry) reused(id int64) {
	for _, c := range r.contents {
		for i, gone := range c.rows {
			if gone.id != id {
				continue
			}
			c.rows = slices.Delete(c.rows, i, i+1)
			c.rows[0].absorb(gone)
			return
		}
	}
}

// absorb adds the references of another row, and fills the empty columns from it.
func (a *otherAtom) absorb(gone *otherAtom) {
	a.jobs, a.layers = a.jobs+gone.jobs, a.layers+gone.layers
	a.tensors, a.embeddings = a.tensors+gone.tensors, a.embeddings+gone.embeddings
	a.ownCount += gone.ownCount
	a.inactive = a.inactive && gone.inactive
	for to, from := range map[*string]string{&a.modality: gone.modality, &a.subtype: gone.subtype, &a.uri: gone.uri,
		&a.sourceType: gone.sourceType, &a.text: gone.text, &a.locator: gone.locator} {
		if from != "" {
			*to = from
		}
	}
}

// insertTwin inserts the right row for a file that has a row with the hash of the path.
func (r *registry) insertTwin(o *outside) {
	c, lying := r.single()
	if c == nil || lying.hash == c.digest || strings.HasPrefix(lying.metadata, "{bad") ||
		o.number(`SELECT COUNT(*) FROM dbo.Atoms WHERE ContentHash = @p1`, c.digest[:]) > 0 {
		return
	}
	right := *lying
	right.hash, right.locator, right.metadata = c.digest, "", ""
	right.jobs, right.layers, right.tensors, right.embeddings = 0, 0, 0, 0
	right.ownCount = 0
	if o.insert(&right); o.err == nil {
		r.reused(right.id)
		c.rows = append(c.rows, &right)
	}
}

// respell changes the path of a row to another path of the same file.
func (r *registry) respell(o *outside) {
	c, a := r.single()
	if c == nil || a.hash == pathHash(a.locator) || len(a.locator) > 400 || !strings.HasPrefix(a.locator, r.folder) {
		return
	}
	path := strings.Replace(a.locator, "/models/", "/models/./", 1)
	if o.exec(`UPDATE dbo.Atoms SET PayloadLocator = @p3 WHERE AtomId = @p1 AND PayloadLocator = @p2`, a.id, a.locator,
		path) > 0 {
		a.locator, r.paths[path] = path, c.digest
	}
}

// touch sets columns that a migration does not read.
func (r *registry) touch(o *outside) {
	c, a := r.single()
	if c != nil && o.exec(`UPDATE dbo.Atoms SET UpdatedAt = SYSUTCDATETIME(), IsActive = 1, CanonicalText = N'new'
		WHERE AtomId = @p1`, a.id) > 0 {
		a.inactive, a.text = false, "new"
	}
}

// annotate adds a key to Metadata.
func (r *registry) annotate(o *outside) {
	c, a := r.single()
	if c == nil || !strings.HasSuffix(a.metadata, "}") || len(a.metadata) > 1000 {
		return
	}
	text := fmt.Sprintf(`%s, "key %d": true}`, strings.TrimSuffix(a.metadata, "}"), r.serialOf())
	if o.exec(`UPDATE dbo.Atoms SET Metadata = @p2 WHERE AtomId = @p1`, a.id, text) > 0 {
		a.metadata = text
	}
}

// refer inserts a row that refers to an atom, if that has not been merged.
func (r *registry) refer(o *outside) {
	c := r.contents[r.random.IntN(len(r.contents))]
	a := c.rows[r.random.IntN(len(c.rows))]
	switch r.random.IntN(3) {
	case 0:
		a.tensors += o.exec(`INSERT INTO dbo.TensorAtoms (AtomId)
			SELECT AtomId FROM dbo.Atoms WHERE AtomId = @p1`, a.id)
	case 1:
		a.embeddings += o.exec(`INSERT INTO dbo.AtomEmbeddings (AtomId)
			SELECT AtomId FROM dbo.Atoms WHERE AtomId = @p1`, a.id)
	case 2:
		o.exec(`INSERT INTO dbo.IngestionJobs (PipelineName, Status) VALUES (N'old', N'complete')`)
		a.jobs += o.exec(`INSERT INTO dbo.IngestionJobAtoms (IngestionJobId, AtomId, WasDuplicate)
			SELECT (SELECT MAX(IngestionJobId) FROM dbo.IngestionJobs WHERE PipelineName = N'old'), AtomId, 0
			FROM dbo.Atoms WHERE AtomId = @p1`, a.id)
	}
}

// fillPayload copies a file into its row, as the other program's procedure does.
func (r *registry) fillPayload(o *outside) {
	c, a := r.single()
	if c == nil || r.plain || a.hash != c.digest || r.random.IntN(3) > 0 {
		return
	}
	payload, err := os.ReadFile(r.files[c.digest])
	o.failed("read", err)
	if o.exec(`UPDATE dbo.Atoms SET Payload = @p2 WHERE AtomId = @p1 AND Payload IS NULL AND BlobUri IS NULL`, a.id,
		payload) > 0 {
		c.fate = has
	}
}

// remove deletes a row to which nothing refers.
func (r *registry) remove(o *outside) {
	c, a := r.single()
	if c == nil || a.jobs+a.layers+a.tensors+a.embeddings > 0 {
		return
	}
	if o.exec(`DELETE FROM dbo.Atoms WHERE AtomId = @p1`, a.id) > 0 {
		r.contents = slices.DeleteFunc(r.contents, func(other *content) bool { return other == c })
	}
}

// restart undoes the migration: the rows have only the paths again, and some have the hash of it.
func (r *registry) restart() {
	r.Helper()
	rows := r.rows()
	payload := ", Payload = NULL"
	if r.plain {
		payload = ""
	}
	r.outside(func(o *outside) {
		for _, c := range r.contents {
			if c.fate != moves && c.fate != has {
				continue
			}
			var a, sum otherAtom
			for _, was := range c.rows {
				if now := rows[was.id]; now != nil {
					a = now.otherAtom
				}
				sum.absorb(was)
			}
			a.jobs, a.layers, a.tensors, a.embeddings = sum.jobs, sum.layers, sum.tensors, sum.embeddings
			a.locator, a.hash, a.payload = r.files[c.digest], c.digest, nil
			if r.random.IntN(2) == 0 {
				a.hash = pathHash(a.locator)
			}
			o.exec(`UPDATE dbo.Atoms SET BlobUri = NULL, BlobContainer = NULL, BlobName = NULL, BlobSizeBytes = NULL,
					BlobETag = NULL, BlobLastModified = NULL, ContentHash = @p2, PayloadLocator = @p3`+payload+`
				WHERE AtomId = @p1`, a.id, a.hash[:], a.locator)
			c.fate, c.rows = moves, []*otherAtom{&a}
			r.paths[a.locator] = c.digest
		}
	})
}

// stored counts the contents that are migrated, and all that move.
func stored(states map[ingest.Digest]state) (done, all int) {
	for _, s := range states {
		if all++; s.stored {
			done++
		}
	}
	return done, all
}
