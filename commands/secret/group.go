package secret

import (
	"cmp"
	"slices"
	"strings"
)

// All is the group of every secret. Every catalogue has it.
const All = "all"

// Group finds a group by name, as Secret does; All has every secret in the order of the
// file.
func (c *Catalogue) Group(name string) (Group, bool) {
	if strings.EqualFold(name, All) {
		return Group{Name: All, Secrets: c.Names()}, true
	}
	return find(c.Groups, name, func(g Group) string { return g.Name })
}

// Turns are the secrets of a group that exist in an environment, in the order in which
// they are rotated together. That is by risk: the worst first when the secrets have
// leaked, because that is what an attacker reaches for; the least first in a routine,
// because that is where a mistake costs least. Of equal risk they keep the order in
// which the group, or the file, names them. Either way a secret comes behind those it
// names in After.
func (c *Catalogue) Turns(g Group, environment string, leaked bool) []Secret {
	var list []Secret
	for _, name := range g.Secrets {
		if _, ok := c.Place(name, environment); !ok {
			continue
		}
		if s, ok := c.Secret(name); ok {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b Secret) int {
		if leaked {
			a, b = b, a
		}
		return cmp.Compare(a.Risk.rank(), b.Risk.rank())
	})
	return behind(list)
}

// rank orders risks from low to high; one that is not written counts as high.
func (r Risk) rank() int {
	switch r {
	case Low:
		return 0
	case Medium:
		return 1
	case High:
	}
	return 2
}

// behind moves each secret behind those it names in After, and nothing else. A circle,
// which no loaded catalogue holds, is broken where it is met first.
func behind(list []Secret) []Secret {
	out := make([]Secret, 0, len(list))
	seen := map[string]bool{}
	var put func(s Secret)
	put = func(s Secret) {
		if seen[s.Name] {
			return
		}
		seen[s.Name] = true
		for _, before := range list {
			if slices.Contains(s.After, before.Name) {
				put(before)
			}
		}
		out = append(out, s)
	}
	for _, s := range list {
		put(s)
	}
	return out
}
