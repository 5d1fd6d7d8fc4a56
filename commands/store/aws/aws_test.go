package aws_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"rekey/audit/audittest/porttest"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/aws"
	"rekey/commands/store/aws/awstest"
	"rekey/commands/storetest"
)

// While AWS rotates the secret by its own schedule, rekey does not write: AWS would end
// by putting its older text over ours. And while rekey writes, AWS begins nothing.
func TestAWSOwnRotationIsNotDisturbed(t *testing.T) {
	t.Parallel()
	srv := server(t)
	srv.Create(name, before)
	token := strings.Repeat("f", 36)
	srv.Rotate(name, token)
	_, err := write(t.Context(), open(t, srv), store.State{Current: newValue}, 1)
	if !errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), "AWS's own rotation") {
		t.Errorf("got %v", err)
	}
	if srv.Stages(name)["AWSPENDING"] != token {
		t.Error("AWSPENDING was taken from AWS's rotation")
	}
	// After its end the label is on the current version, and in nobody's way.
	srv.Move(name, "AWSPENDING", srv.Stages(name)["AWSCURRENT"])
	s := open(t, srv)
	st, err := s.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Write(t.Context(), ref, store.Change{From: st.Revision, Want: store.State{Current: newValue}, Run: "r1", FenceNumber: 1, Fence: func(context.Context) error {
		if at := srv.Stages(name); at["AWSPENDING"] == "" || at["AWSPENDING"] == at["AWSCURRENT"] {
			t.Error("AWS could begin a rotation in the middle of a write")
		}
		return nil
	}})
	if err != nil {
		t.Error(err)
	}
	if at := srv.Stages(name); at["AWSPENDING"] != "" && at["AWSPENDING"] != at["AWSCURRENT"] {
		t.Error("AWS can begin no rotation after the write")
	}
}

// What rekey has written is never taken for a rotation of AWS's, whatever becomes of the
// secret afterwards; nor is what AWS's own rotation left on the current version at its end.
func TestWhatIsOverIsNotTakenForAWSOwnRotation(t *testing.T) {
	t.Parallel()
	for what, happens := range map[string]func(srv *awstest.Server, s *aws.Store) error{
		"the old value is forgotten": func(_ *awstest.Server, s *aws.Store) error { return s.Forget(t.Context(), ref, oldValue) },
		"somebody edits the secret": func(srv *awstest.Server, _ *aws.Store) error {
			srv.Edit(name, before)
			return nil
		},
		"AWS rotates it, and its page is turned": func(srv *awstest.Server, s *aws.Store) error {
			if _, err := write(t.Context(), s, store.State{Current: oldValue}, 1); err != nil {
				return err
			}
			srv.Rotate(name, strings.Repeat("f", 36))
			srv.Move(name, "AWSPENDING", srv.Stages(name)["AWSCURRENT"]) // as at its end
			return s.Forget(t.Context(), ref, newValue)
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			srv := server(t)
			srv.Create(name, before)
			s := open(t, srv)
			if _, err := write(t.Context(), s, store.State{Current: newValue}, 1); err != nil {
				t.Fatal(err)
			}
			if err := happens(srv, s); err != nil {
				t.Fatal(err)
			}
			if version := srv.Stages(name)["AWSPENDING"]; version != "" {
				t.Error("AWSPENDING is left: AWS begins no rotation while it is elsewhere than AWSCURRENT")
			}
			if changed, err := write(t.Context(), s, store.State{Current: secret.NewValue("canary-next-77a1d0")}, 2); err != nil || !changed {
				t.Errorf("the next rotation: changed=%v, %v", changed, err)
			}
		})
	}
}

// A secret whose whole text is the value.
func TestAWholeText(t *testing.T) {
	t.Parallel()
	srv := server(t)
	arn := srv.Create(name, "canary-old-51be0f")
	s, whole := open(t, srv), store.Ref{Location: arn}
	st, err := s.Read(t.Context(), whole)
	if err != nil || !st.Current.Equal(oldValue) || !st.Previous.IsZero() {
		t.Fatalf("Read: %v", err)
	}
	if _, err := s.Deposit(t.Context(), whole, store.Escrow{Run: "r1", Old: oldValue, New: newValue}, pass); err != nil {
		t.Fatal(err)
	}
	c := store.Change{From: st.Revision, Want: store.State{Current: newValue}, Run: "r1", FenceNumber: 1, Fence: pass}
	if changed, err := s.Write(t.Context(), whole, c); err != nil || !changed || srv.Text(name, "AWSCURRENT") != newValue.Reveal() {
		t.Errorf("changed=%v, %v", changed, err)
	}
	if e, err := s.Withdraw(t.Context(), whole, "r1"); err != nil || !e.New.Equal(newValue) {
		t.Errorf("Withdraw: %v", err)
	}
	if err := s.Forget(t.Context(), whole, oldValue); err != nil || srv.Text(name, "AWSPREVIOUS") != newValue.Reveal() {
		t.Errorf("the old value is still AWSPREVIOUS (%v)", err)
	}
	if _, err := s.Read(t.Context(), store.Ref{Location: arn, Previous: "X_OLD"}); err == nil || !strings.Contains(err.Error(), "no room for a previous one") {
		t.Errorf("a previous value beside a whole text: %v", err)
	}
	srv.Edit(name, before)
	if _, err := s.Read(t.Context(), whole); !errors.Is(err, store.ErrAmbiguous) {
		t.Errorf("an object of several keys was taken for one value: %v", err)
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	srv := server(t)
	srv.Create(name, before)
	s := open(t, srv)
	if err := s.Forget(t.Context(), ref, oldValue); err == nil {
		t.Error("the value in use was forgotten")
	}
	for _, want := range []store.State{{Current: newValue, Previous: oldValue}, {Current: newValue}} {
		if _, err := write(t.Context(), s, want, 1); err != nil {
			t.Fatal(err)
		}
	}
	if srv.Text(name, "AWSPREVIOUS") != published {
		t.Fatal("the stand-in does not move AWSPREVIOUS")
	}
	for range 2 {
		if err := s.Forget(t.Context(), ref, oldValue); err != nil {
			t.Fatal(err)
		}
		for stage := range srv.Stages(name) {
			if strings.Contains(srv.Text(name, stage), oldValue.Reveal()) {
				t.Errorf("%s still shows the dead value", stage)
			}
		}
		if srv.Text(name, "AWSCURRENT") != switched || srv.Versions(name) != 4 {
			t.Errorf("forgetting changed something else: %d versions", srv.Versions(name))
		}
	}
	// A version of another shape is no reason to fail.
	srv.Edit(name, "no object")
	srv.Edit(name, switched)
	if err := s.Forget(t.Context(), ref, oldValue); err != nil {
		t.Error(err)
	}
}

// Where nothing was left behind, a sweep asks once and changes nothing.
func TestASweepOfACleanPlaceCostsNothing(t *testing.T) {
	t.Parallel()
	srv := server(t)
	srv.Create(name, before)
	if err := open(t, srv).Sweep(t.Context(), ref, "r1", 7); err != nil {
		t.Fatal(err)
	}
	if calls := srv.Calls(""); len(calls) != 1 || calls[0].Operation != "DescribeSecret" {
		t.Errorf("asked %v", calls)
	}
}

// Every answer that is no success is one plain sentence which says where and what to do,
// and shows nothing of the secret.
func TestFaultsInWords(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		spoil func(srv *awstest.Server)
		ref   store.Ref
		want  store.State
		class error
		says  []string
	}{
		"no such secret": {nil, store.Ref{Location: "production/none", Variable: "X"}, store.State{Current: newValue}, store.ErrNotFound, []string{"production/none", "region"}},
		"no such key":    {nil, store.Ref{Location: name, Variable: "NONE"}, store.State{Current: newValue}, store.ErrNotFound, []string{name, "NONE"}},
		"to be deleted":  {func(srv *awstest.Server) { srv.Delete(name) }, ref, store.State{Current: newValue}, nil, []string{name, "scheduled for deletion"}},
		"bytes":          {func(srv *awstest.Server) { srv.Binary(name) }, ref, store.State{Current: newValue}, store.ErrAmbiguous, []string{name, "bytes"}},
		"denied": {func(srv *awstest.Server) {
			srv.Inject(awstest.Fault{Kind: awstest.AccessDenied, Operation: "PutSecretValue"})
		}, ref, store.State{Current: newValue}, nil, []string{"allow secretsmanager:PutSecretValue on " + name}},
		"too large": {nil, ref, store.State{Current: secret.NewValue(strings.Repeat("canary-new-c0ffee", 4000))}, nil, []string{"65536"}},
		"throttled for long": {func(srv *awstest.Server) {
			srv.Inject(awstest.Fault{Kind: awstest.Throttle, Times: 99})
		}, ref, store.State{Current: newValue}, nil, []string{"fewer requests"}},
		"down": {func(srv *awstest.Server) { srv.Close(); porttest.Keep(t, srv.URL) }, ref, store.State{Current: newValue}, nil, []string{"could not be reached", "refused"}},
		"not AWS": {func(srv *awstest.Server) {
			srv.Inject(awstest.Fault{Kind: awstest.Garbage, Times: 99})
		}, ref, store.State{Current: newValue}, nil, []string{"proxy"}},
		"twice":     {func(srv *awstest.Server) { srv.Edit(name, `{"X":"canary-old-51be0f","X":"b"}`) }, ref, store.State{Current: newValue}, store.ErrAmbiguous, []string{"twice"}},
		"no object": {func(srv *awstest.Server) { srv.Edit(name, `canary-old-51be0f`) }, ref, store.State{Current: newValue}, store.ErrAmbiguous, []string{"no JSON object"}},
		"no UTF-8":  {nil, ref, store.State{Current: secret.NewValue("canary-new-c0ffee\xff")}, store.ErrAmbiguous, []string{"UTF-8"}},
		"too many labels": {func(srv *awstest.Server) {
			for n := range awstest.MaxStages - 1 {
				srv.Move(name, fmt.Sprint("theirs-", n), srv.Stages(name)["AWSCURRENT"])
			}
		}, ref, store.State{Current: newValue}, nil, []string{"20 staging labels"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			srv := server(t)
			srv.Create(name, before)
			s := open(t, srv)
			if c.spoil != nil {
				c.spoil(srv)
			}
			st, err := s.Read(t.Context(), c.ref)
			if err == nil {
				_, err = s.Write(t.Context(), c.ref, store.Change{From: st.Revision, Want: c.want, Run: "r1", FenceNumber: 1, Fence: pass})
			}
			if err == nil || c.class != nil && !errors.Is(err, c.class) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v, want %v", err, c.class)
			}
			for _, word := range c.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
			storetest.AssertLeaksNoSecret(t, values, err, s)
		})
	}
}

// AWS's validation quotes what it refuses; that must not come through.
func TestAWSQuotesAreNotRepeated(t *testing.T) {
	t.Parallel()
	srv := server(t)
	srv.Create(name, before)
	s := open(t, srv)
	_, err := s.Deposit(t.Context(), ref, store.Escrow{Run: "r1", Old: oldValue, New: secret.NewValue(strings.Repeat("canary-new-c0ffee", 4000))}, pass)
	if err == nil {
		t.Fatal("an escrow larger than AWS's limit was taken")
	}
	err = aws.Explain("AWS", "PutSecretValue", name, quoting{})
	if strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "ValidationException") {
		t.Errorf("got %v", err)
	}
	storetest.AssertLeaksNoSecret(t, values, err)
}

// quoting is an answer of AWS's that repeats a value.
type quoting struct{}

func (quoting) Error() string                 { return "canary-new-c0ffee" }
func (quoting) ErrorCode() string             { return "ValidationException" }
func (quoting) ErrorMessage() string          { return "Value 'canary-new-c0ffee' at 'secretString'" }
func (quoting) ErrorFault() smithy.ErrorFault { return smithy.FaultClient }

func TestSettings(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	for endpoint, says := range map[string]string{
		"http://secrets.example.com": "in the clear",
		"http://169.254.1.1":         "in the clear",
		"secrets.example.com":        "no address",
		"ftp://secrets.example.com":  "no address",
		"https://user:pw@x.example":  "no address",
		"":                           "AWS_REGION",
		"http://127.0.0.1:4566":      "AWS_REGION",
		"http://[::1]:4566":          "AWS_REGION",
	} {
		if _, err := aws.New(t.Context(), aws.Config{Endpoint: endpoint}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want an error that says %q", endpoint, err, says)
		}
	}
	if _, err := aws.New(t.Context(), aws.Config{Region: "eu-central-1"}); err != nil {
		t.Errorf("nothing but a region: %v", err)
	}
}
