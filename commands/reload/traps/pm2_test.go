package traps_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// listed is what "pm2 jlist" of pm2 6 prints: hints, then one line.
func listed(mode, variables string) string {
	return fmt.Sprintf(`
>>>> In-memory PM2 is out-of-date, do:
>>>> $ pm2 update
[{"pid":4711,"name":"nextjs-app","pm2_env":{"autorestart":true,"exec_mode":%q,"status":"online","instances":2,"pm_id":0,"env":{"NODE_ENV":"production"%s},"axm_monitor":{}%[2]s},"pm_id":0,"monit":{"memory":1,"cpu":0}},`+
		`{"pid":4712,"name":"other","pm2_env":{"exec_mode":"fork_mode","env":{"SECRET":"x"}},"pm_id":1,"monit":{"memory":1,"cpu":0}}]
`, mode, variables)
}

// Guide: procedures/revalidate-secret/deploy, procedures/analytics-secret/deploy
func TestPM2(t *testing.T) {
	// pm2's own folder, without which its daemon would be started.
	home := t.TempDir()
	t.Setenv("PM2_HOME", home)
	if err := os.WriteFile(filepath.Join(home, "rpc.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, list string
		args, want []string
		says       string
	}{
		{"all is well", listed("cluster_mode", ""), []string{"reload", "nextjs-app", "--update-env"}, nil, ""},
		{"by number", listed("cluster_mode", ""), []string{"reload", "0"}, nil, ""},
		{"fork mode", listed("fork_mode", ""), []string{"reload", "nextjs-app"}, []string{"pm2-fork-mode warn"}, "cluster mode"},
		{"restart", listed("fork_mode", ""), []string{"restart", "nextjs-app"}, []string{"restart warn"}, ""},
		{"exported", listed("cluster_mode", `,"SECRET":"`+other+`"`), []string{"reload", "nextjs-app", "--update-env"}, []string{"exported-variable refuse"}, "differs from the env file's already"},
		{"exported, and restarted", listed("cluster_mode", `,"SECRET":"`+oldValue+`"`), []string{"restart", "nextjs-app"}, []string{"exported-variable refuse", "restart warn"}, "will win over the new one"},
		{"all", listed("cluster_mode", ""), []string{"reload", "all"}, []string{"exported-variable refuse", "pm2-fork-mode warn"}, "pm2 delete other"},
		{"no such app", listed("cluster_mode", ""), []string{"reload", "nextjs"}, []string{"no-such-service refuse"}, "knows no nextjs"},
		{"no list", "[PM2] Spawning PM2 daemon\n", []string{"reload", "nextjs-app"}, []string{"cannot-look unknown"}, "no list"},
	} {
		c := consumer(t, append([]string{tool(t, "pm2", "jlist", tt.list)}, tt.args...)...)
		found := look(t, c)
		want(t, found, tt.want...)
		if tt.says != "" {
			says(t, found, tt.says)
		}
	}

	// No daemon is started to look at it.
	t.Setenv("PM2_HOME", t.TempDir())
	found := look(t, consumer(t, tool(t, "pm2", "jlist", listed("cluster_mode", "")), "reload", "nextjs-app"))
	want(t, found, "cannot-look unknown")
	says(t, found, "no pm2 runs")
}
