package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// version is set by a release build: -ldflags "-X main.version=v1.2.3".
var version = "development"

func (p process) versionCommand() *cli.Command {
	return &cli.Command{Name: "version", Usage: "print the version", Flags: []cli.Flag{jsonFlag},
		Action: func(c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			v := versionView{"gatekeeper/version/v1", release(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if c.Bool("json") {
				return p.printJSON(v)
			}
			_, err := fmt.Fprintf(p.Stdout, "gatekeeper %s (%s, %s)\n", v.Version, v.Go, v.Platform)
			return err
		}}
}

type versionView struct {
	Schema   string `json:"schema"`
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// release is the version of a release, or of the module when it was installed by
// `go install module@version`.
func release() string {
	if version != "development" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return version
}
