package vault_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/vault/vaulttest"
)

// current answers the data of a secret's current version, as any reader gets it.
func current(t *testing.T, srv *vaulttest.Server, path string) string {
	t.Helper()
	status, answer := srv.Do(http.MethodGet, "secret/data/"+path, nil)
	if status != http.StatusOK {
		t.Fatalf("reading %s: %d", path, status)
	}
	whole, ok := answer["data"].(map[string]any)
	if !ok {
		t.Fatalf("%s holds no data", path)
	}
	text, err := json.Marshal(whole["data"])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOtherKeysStay: everything that is not ours comes back as it was, with its type,
// and so do the metadata; a secret that insists on check-and-set works.
func TestOtherKeysStay(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	const rest = `"bool":false,"empty":"","html":"\u003ca\u003e\u0026","large":9007199254740991,"list":[1,"a",null,{"b":2.5}],"map":{"deep":{"er":[]}},"null":null,"small":1e-7,"text":"ÄÖÜ\n\u2028\""`
	srv.Do(http.MethodPut, "secret/metadata/"+ref.Location, map[string]any{"cas_required": true, "max_versions": 4, "custom_metadata": map[string]string{"owner": "shop"}})
	status, _ := srv.Do(http.MethodPut, "secret/data/"+ref.Location, map[string]any{
		"options": map[string]int{"cas": 0}, "data": json.RawMessage(`{"X":"` + oldValue.Reveal() + `",` + rest + `}`),
	})
	if status != http.StatusOK {
		t.Fatalf("preparing: %d", status)
	}
	s := open(t, srv)
	for _, c := range []struct {
		want store.State
		json string
	}{
		{store.State{Current: newValue, Previous: oldValue}, `{"X":"` + newValue.Reveal() + `","X_OLD":"` + oldValue.Reveal() + `",` + rest + `}`},
		{store.State{Current: newValue}, `{"X":"` + newValue.Reveal() + `",` + rest + `}`},
		{store.State{Current: secret.NewValue(`<new> "value" & \ ÄÖÜ`)}, `{"X":"\u003cnew\u003e \"value\" \u0026 \\ ÄÖÜ",` + rest + `}`},
	} {
		st, err := s.Read(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(t.Context(), ref, store.Change{From: st.Revision, Want: c.want, Run: "r1", FenceNumber: 1, Fence: free}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.json, current(t, srv, ref.Location)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	_, answer := srv.Do(http.MethodGet, "secret/metadata/"+ref.Location, nil)
	meta, ok := answer["data"].(map[string]any)
	if !ok || meta["cas_required"] != true || meta["max_versions"] != 4 || !cmp.Equal(meta["custom_metadata"], map[string]string{"owner": "shop"}) {
		t.Errorf("the metadata are %v now", meta)
	}
}

func TestValuesThatAreNoTextAreRefused(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
	s := open(t, srv)
	st, err := s.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	c := publish(st.Revision, 1)
	c.Want.Current = secret.NewValue("\xff\xfe")
	if _, err := s.Write(t.Context(), ref, c); !errors.Is(err, store.ErrAmbiguous) {
		t.Errorf("Write: %v", err)
	}
	if _, err := s.Deposit(t.Context(), ref, store.Escrow{Run: "r1", Old: secret.NewValue("\xff"), New: newValue}, free); !errors.Is(err, store.ErrAmbiguous) {
		t.Errorf("Deposit: %v", err)
	}
}

// TestDiscardLeavesNoValue: not in old versions of the slot either, whatever happened to
// the escrow meanwhile.
func TestDiscardLeavesNoValue(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(srv *vaulttest.Server, path string){
		"nothing":          func(*vaulttest.Server, string) {},
		"somebody deletes": func(srv *vaulttest.Server, path string) { srv.Do(http.MethodDelete, "secret/data/"+path, nil) },
		"somebody destroys": func(srv *vaulttest.Server, path string) {
			srv.Do(http.MethodPut, "secret/destroy/"+path, map[string]any{"versions": []int{1}})
		},
		"somebody removes": func(srv *vaulttest.Server, path string) { srv.Do(http.MethodDelete, "secret/metadata/"+path, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serve(t)
			s := open(t, srv)
			for _, run := range []string{"r1", "r2"} {
				if _, err := s.Deposit(t.Context(), ref, store.Escrow{Run: run, Old: oldValue, New: newValue}, free); err != nil {
					t.Fatal(err)
				}
				if !srv.Finds(newValue.Reveal()) {
					t.Fatal("the escrow is nowhere")
				}
				meanwhile(srv, ".rekey/app/production/escrow/X")
				for range 2 {
					if err := s.Discard(t.Context(), ref, run); err != nil {
						t.Fatal(err)
					}
				}
				if srv.Finds(newValue.Reveal()) || srv.Finds(oldValue.Reveal()) {
					t.Fatal("a value is left after Discard")
				}
			}
		})
	}
}

func TestAStrangeEscrowIsNotTouched(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	s := open(t, srv)
	for _, strange := range []map[string]any{{"rekey_escrow": 2, "run": "r1", "new": "x"}, {"run": "r1", "new": "x"}, {"rekey_escrow": 1, "run": "r1"}, {"rekey_escrow": 1, "run": 5, "new": "x"}} {
		put(t, srv, ".rekey/app/production/escrow/X", strange)
		_, deposit := s.Deposit(t.Context(), ref, escrowed, free)
		_, withdraw := s.Withdraw(t.Context(), ref, "r1")
		for _, err := range []error{deposit, withdraw, s.Discard(t.Context(), ref, "r1")} {
			if err == nil || !strings.Contains(err.Error(), "look at it before you remove it") {
				t.Errorf("%v: got %v", strange, err)
			}
		}
	}
}

func TestForgetDestroysWhatHoldsTheOldValue(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	s := open(t, srv)
	other := "canary-another-77ab"
	for _, data := range []map[string]any{
		{"X": other},                                         // 1
		{"X": oldValue.Reveal(), "Y": "stays"},               // 2
		{"X": newValue.Reveal(), "X_OLD": oldValue.Reveal()}, // 3
		{"X": newValue.Reveal(), "deep": []any{map[string]any{"copy": oldValue.Reveal()}}}, // 4
		{"X": newValue.Reveal()},                         // 5
		{"X": newValue.Reveal(), "Y": oldValue.Reveal()}, // 6
	} {
		put(t, srv, ref.Location, data)
	}
	if err := s.Forget(t.Context(), ref, oldValue); !errors.Is(err, store.ErrConflict) {
		t.Errorf("while the current version holds it: %v", err)
	}
	put(t, srv, ref.Location, map[string]any{"X": newValue.Reveal()}) // 7
	srv.Do(http.MethodPut, "secret/delete/"+ref.Location, map[string]any{"versions": []int{3}})
	err := s.Forget(t.Context(), ref, oldValue)
	if err == nil || !strings.Contains(err.Error(), `"vault kv destroy -mount=secret -versions=3 app/production"`) {
		t.Errorf("with a deleted version: %v", err)
	}
	srv.Do(http.MethodPut, "secret/undelete/"+ref.Location, map[string]any{"versions": []int{3}})
	for range 2 {
		if err := s.Forget(t.Context(), ref, oldValue); err != nil {
			t.Error(err)
		}
	}
	if srv.Finds(oldValue.Reveal()) {
		t.Error("the old value is still stored")
	}
	if !srv.Finds(other) {
		t.Error("a version without the value was destroyed")
	}
	if st, err := s.Read(t.Context(), ref); err != nil || !st.Current.Equal(newValue) {
		t.Errorf("the current version is not what it was (%v)", err)
	}
	if err := s.Forget(t.Context(), store.Ref{Location: "app/none", Variable: "X"}, oldValue); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("forgetting where nothing is: %v", err)
	}
	if err := s.Forget(t.Context(), ref, secret.Value{}); err == nil {
		t.Error("no value was forgotten")
	}
}

// TestSweepingADeletedSecret: a version cannot be taken from under a sleeper without
// writing, and what somebody deleted is not written anew.
func TestSweepingADeletedSecret(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
	s, token := process(t, srv, 1)
	st, err := s.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	late := lose(srv, "data/"+ref.Location, false)
	late.Before = func() { srv.Inject(&vaulttest.Fault{Token: token, Times: 1 << 30}) }
	if _, err := s.Write(t.Context(), ref, publish(st.Revision, 1)); err == nil {
		t.Fatal("the write was not lost")
	}
	successor := open(t, srv)
	srv.Do(http.MethodDelete, "secret/data/"+ref.Location, nil)
	if err := successor.Sweep(t.Context(), ref, "r1", 2); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "undelete") {
		t.Errorf("Sweep: %v", err)
	}
	srv.Do(http.MethodDelete, "secret/metadata/"+ref.Location, nil)
	if err := successor.Sweep(t.Context(), ref, "r1", 2); err != nil {
		t.Errorf("Sweep: %v", err)
	}
	srv.Deliver(late)
	if _, err := successor.Read(t.Context(), ref); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the late write was carried out (%v)", err)
	}
}
