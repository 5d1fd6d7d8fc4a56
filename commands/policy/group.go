package policy

import (
	"fmt"

	"rekey/commands"
	"rekey/commands/secret"
)

// group settles a command over several secrets; whoever asks may know the catalogue.
func group(cat *secret.Catalogue, req commands.Request, g secret.Group) Decision {
	env, ok := cat.Environment(req.Environment)
	if !ok {
		return unknownEnvironment(cat, req)
	}
	if d := unclear(cat, req, secret.Secret{Name: g.Name}, env); !d.Allowed {
		return d
	}
	turns := cat.Turns(g, env.Name, req.Mode == commands.Compromised)
	if len(turns) == 0 {
		return refuse(NotThere, fmt.Sprintf("No secret of %s exists in %s.", g.Name, env.Name))
	}
	for _, s := range turns {
		if s.Procedure != secret.Manual {
			return Decision{Allowed: true, Code: Allowed}
		}
	}
	return refuse(ByHand, fmt.Sprintf("Every secret of %s in %s is rotated by people, not by rekey; nothing was done. How: rekey list names the owners.", g.Name, env.Name))
}
