-- The atoms that gc lists. References are counted, so there are few of them among millions of atoms.
CREATE INDEX IX_Atoms_Unreferenced ON Atoms (AtomId) WHERE ReferenceCount <= 0;
