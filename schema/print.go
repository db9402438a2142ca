package schema

import "fmt"

// What is printed is run by hand: in SSMS, or in sqlcmd, whose sessions have QUOTED_IDENTIFIER OFF. The settings
// are those that the driver's sessions have, and that tables with computed columns, filtered or spatial
// indexes ask for. Each text stands alone.
const byHand = `SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL, QUOTED_IDENTIFIER ON;
SET NUMERIC_ROUNDABORT OFF;
SET XACT_ABORT ON;
SET LOCK_TIMEOUT 5000;
GO
`

const beginByHand = `BEGIN TRANSACTION;
GO
` + lockSchema + `
GO
`

// Printed returns the step as a script that does by hand what Apply does, sees to its own transaction, and can be
// run again. SSMS, and sqlcmd without -b, go on after an error, which has rolled back what was done till then: so the
// step is noted only if the transaction is still there, and the step before it is noted.
func (s Step) Printed() string {
	return fmt.Sprintf("-- Step %d: %s\n", s.Number, s.Name) + byHand + beginByHand + createSteps + "\nGO\n" + s.SQL + fmt.Sprintf(`
IF @@TRANCOUNT = 0
    THROW 51003, N'step %[1]d is not done: see the first error', 1;
IF COALESCE((SELECT MAX(Number) FROM dbo.SchemaSteps), 0) < %[2]d
    THROW 51003, N'step %[1]d is not done: the one before it is not', 1;
IF NOT EXISTS (SELECT 1 FROM dbo.SchemaSteps WHERE Number = %[1]d)
    INSERT INTO dbo.SchemaSteps (Number, Name) VALUES (%[1]d, %[3]s);
COMMIT;
GO
`, s.Number, s.Number-1, literal(s.Name))
}

// PrintedPart returns an optional part as a script that does by hand what ApplyPart does on this server.
func PrintedPart(server Server, name string, settings PartSettings) (string, error) {
	script, err := PartScript(server, name, settings)
	if err != nil {
		return "", err
	}
	p, err := named(name)
	if err != nil {
		return "", err
	}
	if p.inTransaction {
		script = beginByHand + script + fmt.Sprintf(`
IF @@TRANCOUNT = 0
    THROW 51003, N'part %s is not done: see the first error', 1;
COMMIT;
GO
`, name)
	}
	return "-- Part " + name + "\n" + byHand + script, nil
}
