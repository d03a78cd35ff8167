// Command chaind is a small but real Cosmos SDK chain, made to be upgraded through governance.
//
// It is built twice from the same source: release v1, and release v2, which has the handler of the
// upgrade plan "v2" and one module (authz), hence one store, more than v1. That store can only be
// mounted if data/upgrade-info.json is still what v1 wrote, as with most upgrades of real chains.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	svrcmd "github.com/cosmos/cosmos-sdk/server/cmd"
)

// release is set with -ldflags "-X main.release=v2".
var release = "v1"

func main() {
	if release != "v1" && release != "v2" {
		fmt.Fprintf(os.Stderr, "chaind was built as release %q: only v1 and v2 exist\n", release)
		os.Exit(1)
	}
	userHome, err := os.UserHomeDir()
	if err != nil {
		userHome = os.TempDir()
	}
	if err := svrcmd.Execute(rootCommand(), "CHAIND", filepath.Join(userHome, ".chaind")); err != nil {
		os.Exit(1)
	}
}
