package main

// serverObject is what apply chose for the server.
type serverObject struct {
	Event string `json:"event"` // `server`
	Text  string `json:"text"`  // the choice
}

// stepSQL is a numbered step.
type stepSQL struct {
	Step int    `json:"step"` // number of the step
	Name string `json:"name"` // of the step
	SQL  string `json:"sql"`  // its statements
}

// partSQL is an optional part.
type partSQL struct {
	Part string `json:"part"` // name of the part
	SQL  string `json:"sql"`  // its statements
}

// appliedStep is a step that `apply` applied.
type appliedStep struct {
	Event string `json:"event"` // `applied` or `would apply`
	stepSQL
}

// appliedPart is a part that `apply` applied.
type appliedPart struct {
	Event string `json:"event"` // `applied` or `would apply`
	partSQL
}

// currentObject says that there is nothing to do.
type currentObject struct {
	Event string `json:"event"` // `current`
	Step  int    `json:"step"`  // the last step, which the database has
}

// leftTable is a table that differs and that `apply` did not change.
type leftTable struct {
	Event     string   `json:"event"`     // `left`
	Name      string   `json:"name"`      // of the table
	Missing   bool     `json:"missing"`   // true if there is no such table
	Lacks     []string `json:"lacks"`     // columns, indexes and foreign keys
	Different []string `json:"different"` // columns and foreign keys that differ, and how
}

// applySummary ends `schema apply`.
type applySummary struct {
	summaryHead
	Steps  int  `json:"steps"`   // steps that were or would be applied
	Parts  int  `json:"parts"`   // parts that were or would be applied
	Left   int  `json:"left"`    // number of objects `left`
	DryRun bool `json:"dry_run"` // true if nothing was changed
}

// behindObject says that steps are missing.
type behindObject struct {
	Event string `json:"event"` // `behind`
	Step  int    `json:"step"`  // the last step that the database has
	Of    int    `json:"of"`    // the last step of this program
}

// tableObject is a table that `check` has compared.
type tableObject struct {
	Event     string   `json:"event"`     // `table`
	Name      string   `json:"name"`      // of the table
	OK        bool     `json:"ok"`        // true if it is as it must be
	Missing   bool     `json:"missing"`   // true if there is no such table
	Lacks     []string `json:"lacks"`     // columns, indexes and foreign keys
	Different []string `json:"different"` // columns and foreign keys that differ, and how
}

// partObject is a part that `check` has compared.
type partObject struct {
	Event   string `json:"event"`   // `part`
	Name    string `json:"name"`    // of the part
	OK      bool   `json:"ok"`      // true if the database has it
	Problem string `json:"problem"` // what is missing; empty if nothing is
}

// prerequisiteObject is a prerequisite of FILESTREAM.
type prerequisiteObject struct {
	Event  string `json:"event"`  // `prerequisite`
	Name   string `json:"name"`   // of the prerequisite
	OK     bool   `json:"ok"`     // true if it is met
	Found  string `json:"found"`  // the state that was found
	Do     string `json:"do"`     // what to do; empty if it is met
	Client bool   `json:"client"` // true if it concerns this computer
}

// checkSummary ends `schema check`.
type checkSummary struct {
	summaryHead
	Tables   int `json:"tables"`   // number of objects `table`
	Parts    int `json:"parts"`    // number of objects `part`
	Problems int `json:"problems"` // tables and parts that are not as they must be, and 1 if steps are missing
}

// printedStep is a step that `print` prints.
type printedStep struct {
	Object string `json:"object"` // `step`
	stepSQL
}

// printedPart is a part that `print` prints.
type printedPart struct {
	Object string `json:"object"` // `part`
	partSQL
}

// sqlSummary ends `schema print`.
type sqlSummary struct {
	summaryHead
	Steps int `json:"steps"` // number of objects `step`
	Parts int `json:"parts"` // number of objects `part`
}
