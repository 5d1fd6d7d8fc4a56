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
	Anchor []string `help:"An anchor kept outside (\"17:5f3a…\"), which must be in the log; may be repeated." placeholder:"SEQ:HASH"`
	JSON   bool     `name:"json" help:"Print as JSON."`
}

// Run verifies the chain.
func (c *verifyCmd) Run(s *session) error {
	var anchors []ledger.Anchor
	for _, text := range c.Anchor {
		anchor, err := ledger.ParseAnchor(text)
		if err != nil {
			return &failure{code: ExitUsage, text: err.Error() + ".", hint: "rekey ledger anchor"}
		}
		anchors = append(anchors, anchor)
	}
	st, err := s.ledger()
	if err != nil {
		return err
	}
	defer closing(s, st)
	v, err := ledger.VerifyAnchors(s.ctx, st, anchors...)
	if err != nil {
		return fmt.Errorf("reading the security log: %w", err)
	}
	if c.JSON {
		if err := writeJSON(s.Out, v); err != nil {
			return err
		}
	} else if v.OK {
		fmt.Fprintf(s.Out, "The security log holds: %d entries.\nAnchor: %s\n", v.Entries, ledger.Anchor{Seq: v.Entries, Hash: v.Head})
	}
	return broken(v)
}

// broken is the failure of a log that does not verify, nil for one that does.
func broken(v ledger.Verification) error {
	if v.OK {
		return nil
	}
	return &failure{code: ExitBroken, text: "the security log does not hold: " + v.Problem, hint: "copying the database before anything else; see docs/operating.md"}
}

type exportCmd struct {
	From int64 `help:"The first entry's number." default:"1" placeholder:"SEQ"`
}

// Run writes one JSON object a line.
func (c *exportCmd) Run(s *session) error {
	if c.From < 1 {
		return &failure{code: ExitUsage, text: "entries are counted from 1.", hint: "rekey ledger export --from 1"}
	}
	st, err := s.ledger()
	if err != nil {
		return err
	}
	defer closing(s, st)
	e := json.NewEncoder(s.Out)
	return st.Export(s.ctx, c.From, func(entry ledger.Entry) error { return e.Encode(entry) })
}

type anchorCmd struct{}

// Run prints the newest entry's anchor.
func (c *anchorCmd) Run(s *session) error {
	st, err := s.ledger()
	if err != nil {
		return err
	}
	defer closing(s, st)
	v, err := st.Verify(s.ctx)
	if err != nil {
		return fmt.Errorf("reading the security log: %w", err)
	}
	if err := broken(v); err != nil {
		return err
	}
	if v.Entries == 0 {
		return &failure{code: ExitInternal, text: "the security log is empty: there is nothing to anchor yet."}
	}
	_, err = fmt.Fprintln(s.Out, ledger.Anchor{Seq: v.Entries, Hash: v.Head})
	return err
}

// closing closes a log that was only read: that nothing is lost when it fails is why
// it is only said.
func closing(s *session, st ledger.Store) {
	if err := st.Close(); err != nil {
		s.complain("closing the security log: " + err.Error())
	}
}
