package schema

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestStepsAreNumberedWithoutAGap(t *testing.T) {
	steps, err := Steps(SQLite)
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) == 0 {
		t.Fatal("no steps")
	}
	for i, step := range steps {
		if step.Number != i+1 || step.Name == "" || step.SQL == "" {
			t.Errorf("step %d is %+v", i, step)
		}
	}
}

func TestStepsRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"unknown engine": {fstest.MapFS{}, "no schema for engine"},
		"gap":            {fstest.MapFS{"e/0001_a.sql": {}, "e/0003_b.sql": {}}, "want number 2"},
		"not from one":   {fstest.MapFS{"e/0002_a.sql": {}}, "want number 1"},
		"twice":          {fstest.MapFS{"e/0001_a.sql": {}, "e/0001_b.sql": {}}, "want number 2"},
		"no number":      {fstest.MapFS{"e/first_a.sql": {}}, "want a name like"},
		"no name":        {fstest.MapFS{"e/0001.sql": {}}, "want a name like"},
		"other file":     {fstest.MapFS{"e/0001_a.txt": {}}, "want a name like"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(c.files, "e")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}
