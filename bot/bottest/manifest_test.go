package bottest_test

import (
	"os"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"rekey/bot/bottest"
)

// The app people install gets exactly what the manifest asks for, so that is what the stand-in has to grant.
func TestTheStandInGrantsWhatTheManifestAsksFor(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../deploy/slack-manifest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Features struct {
			SlashCommands []struct{ Command string } `yaml:"slash_commands"`
		}
		OAuth struct {
			Scopes struct{ Bot []string }
		} `yaml:"oauth_config"`
		Settings struct {
			Interactivity struct {
				Enabled bool `yaml:"is_enabled"`
			}
		}
	}
	if err := yaml.Unmarshal(raw, &manifest); err != nil {
		t.Fatal(err)
	}
	asked := bottest.SlackConfig{Scopes: manifest.OAuth.Scopes.Bot, Interactive: manifest.Settings.Interactivity.Enabled}
	for _, c := range manifest.Features.SlashCommands {
		asked.Commands = append(asked.Commands, c.Command)
	}
	granted := bottest.DefaultSlackConfig()
	if diff := cmp.Diff(asked.Scopes, granted.Scopes); diff != "" {
		t.Errorf("scopes (-manifest +stand-in):\n%s", diff)
	}
	if diff := cmp.Diff(asked.Commands, granted.Commands); diff != "" {
		t.Errorf("commands (-manifest +stand-in):\n%s", diff)
	}
	if asked.Interactive != granted.Interactive {
		t.Errorf("interactivity: manifest %v, stand-in %v", asked.Interactive, granted.Interactive)
	}
}
