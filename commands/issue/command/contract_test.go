package command_test

import (
	"os"
	"path/filepath"
	"testing"

	"rekey/commands/issue"
	"rekey/commands/issue/command"
	"rekey/commands/issue/issuetest"
	"rekey/commands/secret"
)

const inUse = "first.canary-7c44b1d205e8"

// desk is a register in a folder of its own.
func desk(t *testing.T, change func(own *secret.CommandIssuer)) issuetest.Desk {
	t.Helper()
	path := filepath.Join(t.TempDir(), "register.json")
	if err := (&register{Works: map[string]bool{inUse: true}, Made: map[string]string{}}).write(path); err != nil {
		t.Fatal(err)
	}
	own := secret.CommandIssuer{
		Check: self(t, "owner", "check", path), Create: self(t, "owner", "create", path), Set: self(t, "owner", "set", path),
		Test: self(t, "owner", "test", path), Retire: self(t, "owner", "retire", path), Revive: self(t, "owner", "revive", path),
		Finish: self(t, "owner", "finish", path), Rollback: self(t, "owner", "rollback", path),
	}
	change(&own)
	return issuetest.Desk{
		Issuer:  command.New(),
		Another: func() issue.Issuer { return command.New() },
		Order: func(run string) issue.Order {
			o := order(own)
			o.Run, o.Old, o.New = run, secret.NewValue(inUse), secret.Value{}
			return o
		},
		MadeUp: secret.NewValue("nobody.canary-made-this-up"),
		Touched: func(t *testing.T) string {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		},
	}
}

// Guide: procedures/anything-else/rotate, procedures/anything-else/rollback
func TestContract(t *testing.T) {
	t.Parallel()
	issuetest.Run(t, func(t *testing.T) issuetest.Desk { return desk(t, func(*secret.CommandIssuer) {}) })
}

// Where the generator makes the value, the party hears of it in set.
func TestContractWithTheGenerator(t *testing.T) {
	t.Parallel()
	issuetest.Run(t, func(t *testing.T) issuetest.Desk {
		return desk(t, func(own *secret.CommandIssuer) { own.Create = nil })
	})
}

func TestContractWithoutAWayToRetire(t *testing.T) {
	t.Parallel()
	issuetest.Run(t, func(t *testing.T) issuetest.Desk {
		d := desk(t, func(own *secret.CommandIssuer) { own.Retire, own.Revive = nil, nil })
		d.KeepsOld = true
		return d
	})
}

func TestContractWithoutAWayToRevive(t *testing.T) {
	t.Parallel()
	issuetest.Run(t, func(t *testing.T) issuetest.Desk {
		d := desk(t, func(own *secret.CommandIssuer) { own.Revive = nil })
		d.NoRevive = true
		return d
	})
}
