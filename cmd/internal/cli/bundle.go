package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"rekey/audit/ledger"
	"rekey/bot/render"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/bundle"
	"rekey/commands/journal"
)

// bundled is the act that pins a bundle: its hash is in the security log.
const bundled = "bundle.written"

// bundle writes the evidence of an ended audit as one file and records its hash.
func (s *session) bundle(a *app.App, scene render.Scene, path string, force, quiet bool) error {
	run, window := scene.Run, scene.Report.Window
	lines := bundle.NewLines(a.Scrub)
	report, err := a.Reread(s.ctx, run.Secret, run.Environment, window, lines.Add)
	if err != nil {
		return fmt.Errorf("reading the evidence for the bundle: %w", err)
	}
	entries, err := bundle.Entries(s.ctx, a.Store(), run.Secret, run.Environment, window)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	m, err := bundle.Write(&b, bundle.Contents{Version: s.Version, Report: report, Lines: lines, Entries: entries, Scrub: a.Scrub})
	if err != nil {
		return err
	}
	if err := save(path, b.Bytes(), force); err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	hash := sha256.Sum256(b.Bytes())
	err = a.Store().Update(s.ctx, func(ctx context.Context, tx ledger.Tx) error {
		actor, err := s.operator()
		if err != nil {
			return err
		}
		return tx.Append(ctx, &ledger.Entry{
			Actor: actor.String(), Action: bundled, Subject: journal.Subject(run), Run: run.ID, Result: "done",
			Detail: map[string]string{
				"sha256": hex.EncodeToString(hash[:]), "bytes": fmt.Sprint(b.Len()),
				"since": window.Since.Format(time.RFC3339Nano), "until": window.Until.Format(time.RFC3339Nano),
			},
		})
	})
	if err != nil {
		return fmt.Errorf("%s is written, but the security log did not take its hash: %w", path, err)
	}
	if quiet {
		return nil
	}
	s.say(fmt.Sprintf("\nBundle: %s, %d files, %d bytes\n", path, len(m.Files)+1, b.Len()))
	for _, c := range m.Cut {
		s.say("  - " + c + "\n")
	}
	_, err = fmt.Fprintf(s.Out, "SHA-256, in the security log as well:\n  %x\nThe same bundle again, from the same logs:\n  rekey audit-secret %s \\\n    --env %s --since %s \\\n    --until %s --bundle FILE\n",
		hash, run.Secret, run.Environment, window.Since.Format(time.RFC3339Nano), window.Until.Format(time.RFC3339Nano))
	return err
}

type bundleCmd struct {
	Verify bundleVerifyCmd `cmd:"" help:"Hold every file of a bundle against its manifest and name what differs."`
}

type bundleVerifyCmd struct {
	File   string `arg:"" help:"The bundle." type:"path"`
	SHA256 string `name:"sha256" help:"The hash of the whole file as it was told elsewhere." placeholder:"HASH"`
	Log    bool   `help:"Look the hash up in this rekey's security log as well."`
}

// Run verifies a bundle. It needs no catalogue, no database and no network, but for --log.
func (c *bundleVerifyCmd) Run(s *session) error {
	f, err := os.Open(c.File)
	if err != nil {
		return &failure{code: ExitUsage, text: c.File + " cannot be read: it is not there, or not yours to read."}
	}
	defer f.Close()
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return fmt.Errorf("reading %s: %w", c.File, err)
	}
	hash := hex.EncodeToString(h.Sum(nil))
	m, problems, err := bundle.Verify(f, size)
	if errors.Is(err, bundle.ErrNoBundle) {
		return &failure{code: ExitBroken, text: c.File + ": " + sentence(err.Error()) + "."}
	}
	if err != nil {
		return err
	}
	if c.SHA256 != "" && !strings.EqualFold(strings.TrimSpace(c.SHA256), hash) {
		problems = append(problems, "The file is not the one whose hash was told: its SHA-256 is "+hash+".")
	}
	if c.Log {
		found, err := s.logged(hash)
		if err != nil {
			return err
		}
		if !found {
			problems = append(problems, "The security log knows no bundle with SHA-256 "+hash+".")
		}
	}
	if len(problems) > 0 {
		s.complain("the bundle does not hold:")
		for _, p := range problems {
			fmt.Fprint(s.Err, wrap("  - "+p+"\n"))
		}
		return &failure{code: ExitBroken}
	}
	s.say(fmt.Sprintf("The bundle holds: %s in %s, %s to %s, %d files.\n", m.Secret, m.Environment,
		m.Window.Since.Format(time.RFC3339), m.Window.Until.Format(time.RFC3339), len(m.Files)))
	_, err = fmt.Fprintf(s.Out, "SHA-256: %s\n", hash)
	return err
}

// logged reports whether the security log has recorded a bundle with this hash.
func (s *session) logged(hash string) (found bool, err error) {
	st, err := s.ledger()
	if err != nil {
		return false, err
	}
	defer closing(s, st)
	err = st.Export(s.ctx, 1, func(e ledger.Entry) error {
		found = found || e.Action == bundled && e.Detail["sha256"] == hash
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("reading the security log: %w", err)
	}
	return found, nil
}
