package config

import (
	"strings"
	"testing"
)

func TestSecretsAfterEachOther(t *testing.T) {
	t.Parallel()
	const mail, database = "procedure: smtp-password", "procedure: postgres-role"
	ordered := strings.Replace(full, mail, mail+"\n    after: [DATABASE_URL, SECRET_KEY]", 1)
	if got := faultsOfFull(t, ordered); len(got) > 0 {
		t.Fatalf("an order was refused: %q", got)
	}
	got := faultsOfFull(t, strings.Replace(ordered, database, database+"\n    after: [MAIL_PASSWORD]", 1))
	want := "rekey.yaml:97: secrets come after each other in a circle: DATABASE_URL after MAIL_PASSWORD after DATABASE_URL: take one after out, so that there is a first one"
	if len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
