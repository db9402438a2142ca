package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestBuildOf(t *testing.T) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	setting := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	for _, test := range []struct {
		info debug.BuildInfo
		want build
	}{
		{debug.BuildInfo{GoVersion: "go1.99", Main: debug.Module{Version: "v1.2.3"},
			Settings: []debug.BuildSetting{setting("vcs.revision", "abc"), setting("vcs.modified", "false")}},
			build{"v1.2.3", "abc", false, "go1.99", platform}},
		{debug.BuildInfo{GoVersion: "go1.99", Settings: []debug.BuildSetting{setting("vcs.revision", "abc"),
			setting("vcs.modified", "true")}},
			build{"(devel)", "abc", true, "go1.99", platform}},
		{debug.BuildInfo{}, build{"(devel)", "", false, runtime.Version(), platform}},
	} {
		if got := buildOf(&test.info); got != test.want {
			t.Errorf("%+v: %+v, want %+v", test.info, got, test.want)
		}
	}
}
