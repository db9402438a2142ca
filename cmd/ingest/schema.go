package main

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/sqlserver"
)

func newSchema(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "schema",
		Short: "Create, update and check the tables of a SQL Server catalogue",
		Long: `Create, update and check the tables of a SQL Server or Azure SQL catalogue.

A SQLite catalogue maintains its own tables. A database on a server changes only when you run schema
apply, which never renames, drops or reinterprets existing tables and columns.`,
		Args: knownCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			return usage("command is missing: want `ingest schema apply`, `check` or `print`")
		},
	}
	c.AddCommand(newSchemaApply(p), newSchemaCheck(p), newSchemaPrint(p))
	return c
}

// partFlags are the optional parts of a schema and their settings.
type partFlags struct {
	parts    []string
	settings schema.PartSettings
}

func (f *partFlags) bind(c *cobra.Command) {
	c.PreRunE = func(c *cobra.Command, _ []string) error { return f.check(c.Flags().Changed("retention-days")) }
	c.Flags().StringSliceVar(&f.parts, "with", nil, "optional `parts`: "+strings.Join(schema.PartNames(), ", "))
	c.Flags().StringVar(&f.settings.Path, "filestream-path", "", "folder on the server for FILESTREAM data; it must "+
		"not exist, and its parent must")
	c.Flags().IntVar(&f.settings.RetentionDays, "retention-days", 0, "days that the part temporal keeps history "+
		"(default 365, or the setting of the existing part)")
}

// check rejects parts that do not exist, and settings without effect.
func (f *partFlags) check(retention bool) error {
	for _, name := range f.parts {
		if !slices.Contains(schema.PartNames(), name) {
			return usage("--with %s: want one of %s", ingest.Printable(name), strings.Join(schema.PartNames(), ", "))
		}
	}
	if retention && (f.settings.RetentionDays < 1 || !slices.Contains(f.parts, "temporal")) {
		return usage("--retention-days %d: want 1 or more, with --with temporal", f.settings.RetentionDays)
	}
	return nil
}

// printed returns the scripts of the parts, or an error if the server does not support one.
func (f *partFlags) printed(server schema.Server) ([]string, error) {
	all := make([]string, len(f.parts))
	for i, name := range f.parts {
		var err error
		if all[i], err = schema.PrintedPart(server, name, f.settings); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func newSchemaApply(p *program) *cobra.Command {
	var f partFlags
	var dryRun bool
	c := &cobra.Command{
		Use:   "apply",
		Short: "Create and update the tables that this program needs",
		Example: "  ingest schema apply --catalog 'sqlserver://host?database=Hartonomous'\n" +
			"  ingest schema apply --dry-run\n  ingest schema apply --with query-store",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withSchema(func(db *sql.DB) error { return p.schemaApply(c.Context(), db, f, dryRun) })
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print the script, and change nothing")
	f.bind(c)
	return c
}

func newSchemaCheck(p *program) *cobra.Command {
	var f partFlags
	c := &cobra.Command{
		Use:     "check",
		Short:   "Report missing and different tables (exit code 1 if there are any)",
		Example: "  ingest schema check",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withSchema(func(db *sql.DB) error { return p.schemaCheck(c.Context(), db, f) })
		},
	}
	f.bind(c)
	return c
}

func newSchemaPrint(p *program) *cobra.Command {
	var f partFlags
	c := &cobra.Command{
		Use:     "print",
		Short:   "Print the SQL for the server of --catalog, or for any server",
		Example: "  ingest schema print > catalogue.sql",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if sqlserver.IsAddress(p.catalog) {
				return p.withSchema(func(db *sql.DB) error {
					server, err := schema.Inspect(c.Context(), db)
					if err != nil {
						return err
					}
					return p.schemaPrint(server, f)
				})
			}
			return p.schemaPrint(schema.Server{Product: "SQL Server", Geometry: true}, f)
		},
	}
	f.bind(c)
	return c
}

func (p *program) withSchema(do func(*sql.DB) error) error {
	if !sqlserver.IsAddress(p.catalog) {
		return usage("--catalog: want sqlserver://HOST?database=NAME (a SQLite catalogue maintains its own tables)")
	}
	return sqlserver.UseSchema(p.catalog, sqlserver.Settings{}, do)
}

func (p *program) schemaApply(ctx context.Context, db *sql.DB, f partFlags, dryRun bool) error {
	server, err := schema.Inspect(ctx, db)
	if err != nil {
		return err
	}
	parts, err := f.printed(server) // before anything changes: the server may not support a part
	if err != nil {
		return err
	}
	apply := schema.Apply
	if dryRun {
		apply = func(ctx context.Context, db *sql.DB) (*schema.Report, error) { return schema.Preview(ctx, db) }
	}
	sum := applySummary{summaryHead: newSummary(), DryRun: dryRun}
	defer func() { p.printSummary(sum) }()
	report, err := apply(ctx, db)
	if report != nil { // with an error, it has the steps applied until then
		p.schemaReport(report, dryRun, err == nil)
		sum.Steps, sum.Left = len(report.Steps), len(report.Left)
	}
	if err != nil {
		return err
	}
	for i, name := range f.parts {
		if !dryRun {
			if err := schema.ApplyPart(ctx, db, name, f.settings); err != nil {
				return err
			}
		}
		sum.Parts++
		p.emit(appliedPart{verbOf(dryRun), partSQL{name, parts[i]}}, "%s%s part %s\n", comment(dryRun),
			verbOf(dryRun), name)
		if dryRun && !p.json {
			p.printf("%s\n", parts[i])
		}
	}
	return nil
}

// schemaReport prints the applied steps. With --dry-run, it prints a script with comments.
func (p *program) schemaReport(report *schema.Report, dryRun, whole bool) {
	for _, choice := range report.Server.Choices() {
		p.emit(serverObject{"server", choice}, "%s%s\n", comment(dryRun), choice)
	}
	for _, step := range report.Steps {
		p.emit(appliedStep{verbOf(dryRun), stepSQL{step.Number, step.Name, step.Printed()}},
			"%s%s step %d (%s)\n", comment(dryRun), verbOf(dryRun), step.Number, step.Name)
		if dryRun && !p.json {
			p.printf("%s\n", step.Printed())
		}
	}
	if len(report.Steps) == 0 && whole {
		p.emit(currentObject{"current", report.Applied},
			"%snothing to do: the database has all %d steps\n", comment(dryRun), report.Applied)
	}
	for _, t := range report.Left {
		p.emit(leftTable{"left", t.Name, t.Missing, list(t.Lacks), list(t.Different)},
			"%s%s differs: %s\n", comment(dryRun), t.Name, problemsOf(t))
	}
}

// comment starts a line that is not SQL in the output of --dry-run.
func comment(dryRun bool) string {
	if dryRun {
		return "-- "
	}
	return ""
}

func verbOf(dryRun bool) string {
	if dryRun {
		return "would apply"
	}
	return "applied"
}

func (p *program) schemaCheck(ctx context.Context, db *sql.DB, f partFlags) error {
	checked, err := schema.Check(ctx, db)
	if err != nil {
		return err
	}
	sum := checkSummary{summaryHead: newSummary()}
	defer func() { p.printSummary(sum) }()
	if checked.Applied < checked.Known {
		sum.Problems++
		p.emit(behindObject{"behind", checked.Applied, checked.Known},
			"the database is at step %d of %d: run `ingest schema apply`\n", checked.Applied, checked.Known)
	}
	for _, t := range checked.Tables {
		if sum.Tables++; !t.OK() {
			sum.Problems++
		}
		p.emit(tableObject{"table", t.Name, t.OK(), t.Missing, list(t.Lacks), list(t.Different)},
			"%-20s %s\n", t.Name, orOK(problemsOf(t)))
	}
	if err := p.containerCheck(ctx, db, 0); err != nil {
		return err
	}
	for _, name := range f.parts {
		problem, err := schema.CheckPart(ctx, db, name, f.settings)
		if err == nil && name == "filestream" {
			err = p.filestreamCheck(ctx, db)
		}
		if err != nil {
			return err
		}
		if sum.Parts++; problem != "" {
			sum.Problems++
		}
		p.emit(partObject{"part", name, problem == "", problem}, "%-20s %s\n", name, orOK(problem))
	}
	if sum.Problems > 0 {
		return &codeError{exitFailed,
			errors.New("schema is missing or out of date: `ingest schema apply` adds what is missing")}
	}
	return nil
}

// problemsOf lists what is missing or different in a table; empty if nothing is.
func problemsOf(t schema.Table) string {
	if t.Missing {
		return "missing"
	}
	var all []string
	for _, name := range t.Lacks {
		all = append(all, "missing "+name)
	}
	return strings.Join(append(all, t.Different...), "; ")
}

func orOK(problem string) string {
	if problem == "" {
		return "ok"
	}
	return problem
}

func (p *program) schemaPrint(server schema.Server, f partFlags) error {
	steps, err := server.Script()
	if err != nil {
		return err
	}
	parts, err := f.printed(server) // before anything is printed: a partial script looks complete
	if err != nil {
		return err
	}
	for _, step := range steps {
		p.emit(printedStep{"step", stepSQL{step.Number, step.Name, step.Printed()}}, "%s\n", step.Printed())
	}
	for i, name := range f.parts {
		p.emit(printedPart{"part", partSQL{name, parts[i]}}, "%s\n", parts[i])
	}
	p.printSummary(sqlSummary{newSummary(), len(steps), len(parts)})
	return nil
}
