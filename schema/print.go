package schema

import "fmt"

// byHand begins a printed script, which is run in SSMS or sqlcmd. sqlcmd's sessions have
// QUOTED_IDENTIFIER OFF. These are the settings of the driver's sessions, which computed columns
// and filtered or spatial indexes need.
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

// Printed returns the step as a script that does what Apply does, in its own transaction, and may
// be repeated. SSMS, and sqlcmd without -b, continue after an error, which has rolled back the
// transaction: so the script records the step only if the transaction still exists and the step
// before it is recorded.
func (s Step) Printed() string {
	return fmt.Sprintf("-- Step %d: %s\n", s.Number, s.Name) + byHand + beginByHand + createSteps + "\nGO\n" + s.SQL +
		fmt.Sprintf(`
IF @@TRANCOUNT = 0
    THROW 51003, N'step %[1]d is not applied: see the first error', 1;
IF COALESCE((SELECT MAX(Number) FROM dbo.SchemaSteps), 0) < %[2]d
    THROW 51003, N'step %[1]d is not applied: the step before it is missing', 1;
IF NOT EXISTS (SELECT 1 FROM dbo.SchemaSteps WHERE Number = %[1]d)
    INSERT INTO dbo.SchemaSteps (Number, Name) VALUES (%[1]d, %[3]s);
COMMIT;
GO
`, s.Number, s.Number-1, literal(s.Name))
}

// PrintedPart returns an optional part as a script that does what ApplyPart does on this server.
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
    THROW 51003, N'part %s is not applied: see the first error', 1;
COMMIT;
GO
`, name)
	}
	return "-- Part " + name + "\n" + byHand + script, nil
}
