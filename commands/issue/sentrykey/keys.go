package sentrykey

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/sentry/api"
	"rekey/commands/issue"
)

// key is the part of Sentry's client key that is used. ID is the public key.
type key struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Public  string    `json:"public"`
	Active  bool      `json:"isActive"`
	Project int64     `json:"projectId"`
	Created time.Time `json:"dateCreated"`
	// Limit and Loader are kept as they are. Sentry sets the loader's version back
	// where a change of the key does not name it.
	Limit  *limit `json:"rateLimit"`
	Loader string `json:"browserSdkVersion"`
	DSN    struct {
		Public string `json:"public"`
		Secret string `json:"secret"`
	} `json:"dsn"`
}

// limit is a key's own rate limit: Count events in Window seconds.
type limit struct {
	Window int `json:"window"`
	Count  int `json:"count"`
}

// called names a key for people. People gave the name.
func (k key) called() string { return `"` + audit.Clean(k.Name, 80) + `"` }

const (
	longestName = 64  // characters of a key's name that Sentry takes
	maxPages    = 100 // of a listing; 100 keys each
)

// nameOf is what the key of a run is called.
func nameOf(run string) string {
	name := []rune("rekey " + run)
	return string(name[:min(len(name), longestName)])
}

// named lists the keys made for a run, oldest first. Usually there is one; an answer
// that was lost on its way may have left another.
func (d *desk) named(ctx context.Context, run string) ([]key, error) {
	return d.list(ctx, func(k key) bool { return k.Name == nameOf(run) })
}

// list answers the project's keys that are wanted, oldest first.
func (d *desk) list(ctx context.Context, wanted func(key) bool) ([]key, error) {
	var found []key
	query := url.Values{}
	for range maxPages {
		var page []key
		header, err := d.reads(ctx, "list client keys", &page, query, "keys")
		if err != nil {
			return nil, err
		}
		for _, k := range page {
			if wanted(k) {
				found = append(found, k)
			}
		}
		cursor := api.NextCursor(header)
		if cursor == "" {
			break
		}
		query.Set("cursor", cursor)
	}
	slices.SortFunc(found, func(a, b key) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return found, nil
}

// look finds a key by its public half; nil when the project has none such.
func (d *desk) look(ctx context.Context, public string) (*key, error) {
	if !isKey(public) {
		return nil, nil // nothing that Sentry ever gave out, and no path to ask
	}
	var k key
	_, err := d.reads(ctx, "read a client key", &k, nil, "keys", public)
	if status(err) == http.StatusNotFound {
		return nil, d.missing(ctx, public)
	}
	if err != nil {
		return nil, err
	}
	return &k, nil
}

// missing makes sure that a key Sentry does not find is really none of the project's,
// before a rotation takes it for deleted: the project may be the one that is not found,
// or something on the way (an outbound guard, a proxy) may have changed the address.
func (d *desk) missing(ctx context.Context, public string) error {
	keys, err := d.list(ctx, func(k key) bool { return k.Public == public })
	if err == nil && len(keys) > 0 {
		err = issue.Faultf("Sentry lists client key %s and yet does not find it: something between rekey and Sentry changes what is sent.", keys[0].called())
	}
	return err
}

// isKey reports whether s can be a public key: letters and digits of no great length.
func isKey(s string) bool {
	return s != "" && len(s) <= 128 && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// number is the project's.
func (d *desk) number(ctx context.Context) (string, error) {
	var project struct {
		ID string `json:"id"`
	}
	_, err := d.reads(ctx, "read the project", &project, nil)
	return project.ID, err
}

// activate switches a key on or off.
func (d *desk) activate(ctx context.Context, k key, on bool) error {
	body := map[string]any{"isActive": on}
	if k.Loader != "" {
		body["browserSdkVersion"] = k.Loader
	}
	doing := "switch a client key off"
	if on {
		doing = "switch a client key on"
	}
	var now key
	if err := d.changes(ctx, doing, http.MethodPut, body, &now, "keys", k.ID); err != nil {
		return err
	}
	if now.Active != on {
		return issue.Faultf("Sentry was asked to %s (%s) and left it as it was.", doing, k.called())
	}
	return nil
}

// remove deletes a key; one that is gone is no error.
func (d *desk) remove(ctx context.Context, k key) error {
	err := d.changes(ctx, "delete a client key", http.MethodDelete, nil, nil, "keys", k.ID)
	if status(err) == http.StatusNotFound {
		return nil
	}
	return err
}

// status answers what Sentry's refusal was, through a *issue.Fault.
func status(err error) int {
	var fault *issue.Fault
	if errors.As(err, &fault) {
		return api.Status(fault.Err)
	}
	return api.Status(err)
}
