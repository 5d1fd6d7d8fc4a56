package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"rekey/commands/secret"
)

// defaultMount is where Vault mounts KV unless told otherwise.
const defaultMount = "secret"

var regionName = regexp.MustCompile(`^[a-z]{2}(?:-[a-z]+)+-\d{1,2}$`)

// storeKeys are the keys of each kind besides kind.
var storeKeys = map[secret.StoreKind][]string{
	secret.AWSSecretsManager: {"region", "endpoint"},
	secret.VaultKV:           {"address", "namespace", "mount", "token", "ca_file"},
}

// stores reads the places of values besides env files.
func (d *document) stores(top *object) {
	stores := top.object("stores", "stores")
	for _, e := range stores.entries {
		d.plainName(e, "store")
		if strings.EqualFold(e.name, secret.Dotenv) {
			d.fault(e.key, fmt.Sprintf("a store cannot be called %s, which is what env files are called", quoted(e.name)), "give it another name")
		}
		d.cat.Stores = append(d.cat.Stores, d.store(stores, e))
	}
}

func (d *document) store(stores *object, e entry) secret.Store {
	o := stores.object(e.name, "store "+e.name, "kind", "region", "endpoint", "address", "namespace", "mount", "token", "ca_file")
	s := secret.Store{Name: e.name}
	if !o.must("kind", "write aws-secrets-manager or vault-kv, which is also OpenBao's") {
		return s
	}
	s.Kind = choice[secret.StoreKind](o, "kind", "", secret.AWSSecretsManager, secret.VaultKV)
	if s.Kind == "" {
		return s
	}
	o.only("kind "+string(s.Kind), append([]string{"kind"}, storeKeys[s.Kind]...)...)
	if s.Kind == secret.AWSSecretsManager {
		s.Region, s.Endpoint = o.text("region"), d.tokenURL(o, "endpoint")
		d.region(o, s.Region)
		return s
	}
	o.must("address", "write the server's URL: https://vault.example.com:8200")
	s.Address, s.Namespace = d.tokenURL(o, "address"), strings.Trim(o.text("namespace"), "/")
	s.Mount = strings.Trim(o.text("mount"), "/")
	s.Token = d.source(o, "token", "VAULT_TOKEN")
	s.CAFile = d.certificates(o)
	return s
}

// region checks the name of an AWS region; "" is the SDK's.
func (d *document) region(o *object, name string) {
	if name != "" && !regionName.MatchString(name) {
		d.fault(o.blame("region"), fmt.Sprintf(`"region" of %s is no region: %s`, o.where, quoted(name)), "write it as AWS does: us-east-1")
	}
}

// tokenURL is a URL to which rekey sends a token of its own: plain http is for this
// machine only.
func (d *document) tokenURL(o *object, name string) string {
	text := o.url(name)
	if u, err := url.Parse(text); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		d.fault(o.blame(name), fmt.Sprintf("%q of %s would carry tokens and values over plain http", name, o.where), "write https://…; http is for this machine only")
	}
	return strings.TrimRight(text, "/")
}

// only notes a fault for each key that does not belong to what was chosen.
func (o *object) only(chosen string, known ...string) {
	for _, e := range o.entries {
		if !slices.Contains(known, e.name) {
			o.d.fault(e.key, fmt.Sprintf("%q of %s does not belong to %s", e.name, o.where, chosen), "the keys here are "+strings.Join(known, ", "))
		}
	}
}

// storeKind answers the kind of the store of that name, Dotenv's included.
func (d *document) storeKind(name string) (secret.StoreKind, bool) {
	for _, s := range d.cat.Stores {
		if s.Name == name {
			return s.Kind, true
		}
	}
	return secret.Dotenv, name == secret.Dotenv
}

// mountOf answers the mount of a Vault store.
func (d *document) mountOf(name string) string {
	for _, s := range d.cat.Stores {
		if s.Name == name && s.Mount != "" {
			return s.Mount
		}
	}
	return defaultMount
}
