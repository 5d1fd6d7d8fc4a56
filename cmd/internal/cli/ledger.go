package cli

import (
	"encoding/json"
	"fmt"

	"rekey/audit/ledger"
)

type ledgerCmd struct {
	Verify verifyCmd `cmd:"" help:"Find the first entry that was edited, removed, inserted or reordered."`
	Export exportCmd `cmd:"" help:"Write the entries as JSON Lines."`
	Anchor anchorCmd `cmd:"" help:"Print the newest entry's anchor, to keep it outside the database."`
}

type verifyCmd struct {
	Anchor []string `help:"An anchor published earlier (\"17:5f3a…\"), which must be in the log; may be repeated." placeholder:"SEQ:HASH"`
	JSON   bool     `name:"json" help:"Print as JSON."`
}

// Run verifies the chain.
func (c *verifyCmd) Run(s *session) error {
	var anchors []ledger.Anchor
	for _, text := range c.Anchor {
		anchor, err := ledger.ParseAnchor(text)
		if err != nil {
			return &failure{code: ExitUsage, text: err.Error()}
		}
		anchors = append(anchors, anchor)
	}
	a, err := s.reader()
	if err != nil {
		return err
	}
	defer a.Close()
	v, err := ledger.VerifyAnchors(s.ctx, a.Store(), anchors...)
	if err != nil {
		return fmt.Errorf("reading the security log: %w", err)
	}
	if c.JSON {
		if err := writeJSON(s.Out, v); err != nil {
			return err
		}
	} else if v.OK {
		fmt.Fprintf(s.Out, "The security log holds: %d entries, newest %d:%s\n", v.Entries, v.Entries, v.Head)
	}
	if !v.OK {
		return &failure{code: ExitBroken, text: "the security log does not hold: " + v.Problem}
	}
	return nil
}

type exportCmd struct {
	From int64 `help:"The first entry's number." default:"1"`
}

// Run writes one JSON object a line.
func (c *exportCmd) Run(s *session) error {
	a, err := s.reader()
	if err != nil {
		return err
	}
	defer a.Close()
	e := json.NewEncoder(s.Out)
	return a.Store().Export(s.ctx, c.From, func(entry ledger.Entry) error { return e.Encode(entry) })
}

type anchorCmd struct{}

// Run prints the newest entry's anchor.
func (c *anchorCmd) Run(s *session) error {
	a, err := s.reader()
	if err != nil {
		return err
	}
	defer a.Close()
	v, err := a.Store().Verify(s.ctx)
	if err != nil {
		return fmt.Errorf("reading the security log: %w", err)
	}
	if !v.OK {
		return &failure{code: ExitBroken, text: "the security log does not hold: " + v.Problem}
	}
	fmt.Fprintln(s.Out, ledger.Anchor{Seq: v.Entries, Hash: v.Head})
	return nil
}
