package cli

import (
	"rekey/commands"
)

type killCmd struct{ wishArgs }

// Run ends an old value that somebody still uses, and follows the run to its end.
func (c *killCmd) Run(s *session) error {
	req, err := c.request(commands.Kill)
	if err != nil {
		return err
	}
	return s.start(req, c.JSON)
}

type holdCmd struct{ wishArgs }

// Run puts the end of an old value off. The run is followed only where no other rekey is
// there to carry it on: whoever puts an end off has something else to do meanwhile, and
// may want to end it from the same terminal.
func (c *holdCmd) Run(s *session) error {
	req, err := c.request(commands.Hold)
	if err != nil {
		return err
	}
	a, err := s.worker()
	if err != nil {
		return unstarted(err)
	}
	defer a.Close()
	answer, err := s.take(a, req)
	if err != nil {
		return err
	}
	alone, err := a.Alone(s.ctx)
	switch {
	case err != nil:
		return err
	case alone:
		return s.carried(a, answer, c.JSON)
	case c.JSON:
		scene, err := a.Scene(s.ctx, answer.Run)
		if err != nil {
			return err
		}
		return writeJSON(s.Out, sceneJSON(scene))
	}
	s.say(answer.Text + "\n")
	return nil
}
