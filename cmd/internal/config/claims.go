package config

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"

	"rekey/commands/secret"
)

// claim is a use of one variable of one place.
type claim struct {
	where  string
	secret string
	use    secret.Use
	slot   string // "variable", "previous"
}

// claim checks that no two uses write one variable of one place, unless they write
// the same into it: Django and its Celery workers read one file.
func (d *document) claim(o *object, c secret.Consumer, s secret.Secret, u secret.Use) {
	if c.Location == "" {
		return
	}
	place := c.Store + "\x00" + c.Location + "\x00"
	kind, _ := d.storeKind(c.Store)
	if u.Variable == "" && kind == secret.AWSSecretsManager { // the whole secret is the value
		if part, ok := d.claims[place+"\x00"]; ok {
			d.fault(o.at, fmt.Sprintf("%s takes the whole of %s for its value, and %s writes %s in it", o.where, shownPlace(c), part.where, part.use.Variable), "give each a place of its own")
			return
		}
		d.claimOne(o.at, place, c, claim{o.where, s.Name, u, "variable"}, "the value")
		return
	}
	if whole, ok := d.claims[place]; ok && whole.where != o.where {
		d.fault(o.blame("variable"), fmt.Sprintf("%s writes %s in %s, and %s takes the whole of it for its value", o.where, u.Variable, shownPlace(c), whole.where), "give each a place of its own")
		return
	}
	if u.Variable != "" {
		d.claims[place+"\x00"] = claim{o.where, s.Name, u, ""} // that it is not one value
	}
	for _, v := range []struct{ slot, name string }{{"variable", u.Variable}, {"previous", u.Previous}} {
		if v.name != "" {
			d.claimOne(o.blame(v.slot), place+v.name, c, claim{o.where, s.Name, u, v.slot}, v.name)
		}
	}
}

func (d *document) claimOne(at ast.Node, key string, c secret.Consumer, mine claim, what string) {
	other, taken := d.claims[key]
	if !taken {
		d.claims[key] = mine
		return
	}
	hint := "give each its own variable or its own file"
	if other.secret == mine.secret && other.slot == mine.slot && other.where != mine.where {
		if shareable(other.use, mine.use) {
			return
		}
		if shareable(mine.use, other.use) {
			hint = "write " + mine.use.Consumer + " above " + other.use.Consumer + ", so that the one who also accepts comes first"
		}
	}
	d.fault(at, fmt.Sprintf("%s writes %s in %s, and so does %s", mine.where, what, shownPlace(c), other.where), hint)
}

// shareable reports whether two consumers may read one variable of one place, the
// first being rotated before the second. They may when each step writes the same for
// both. One that only signs may follow one that does both: what that one publishes
// first is not what it signs with. One that only accepts must not share with one that
// signs, because what is published to it would be signed with before all accept it.
func shareable(first, second secret.Use) bool {
	if first.Variable != second.Variable {
		return false
	}
	return first.Role == second.Role && first.Previous == second.Previous ||
		first.Role == secret.Both && second.Role == secret.Signs
}

func shownPlace(c secret.Consumer) string {
	if c.Store == secret.Dotenv {
		return shownPath(c.Location)
	}
	return quoted(c.Location) + " of store " + c.Store
}
