-- The payloads of small segments, each once for all segments with this content. A file in a store
-- would cost more: a name, two syncs, and at least a block of the disk.
CREATE TABLE SmallPayloads (
    PayloadAtomId INTEGER PRIMARY KEY REFERENCES Atoms (AtomId) ON DELETE CASCADE,
    Payload       BLOB NOT NULL
);
