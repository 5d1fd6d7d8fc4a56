package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"unicode/utf8"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// entry is a secret as the server answered it. Values stay the JSON they came as, so
// that what is not changed goes back unchanged. It is never printed.
type entry struct {
	place     string
	version   int // 0: it was never written
	created   string
	destroyed bool
	data      map[string]json.RawMessage // nil when the version was deleted or destroyed
}

// live reports that the version can be read.
func (e entry) live() bool { return e.data != nil }

// revision names the version. The time tells a secret apart that was removed with its
// history and made again.
func (e entry) revision() string { return strconv.Itoa(e.version) + " " + e.created }

// get reads the current version. One that is not there, or deleted, is no error.
func (s *Store) get(ctx context.Context, location string) (entry, error) {
	return s.getVersion(ctx, location, 0)
}

// getVersion reads one version; 0 is the current one.
func (s *Store) getVersion(ctx context.Context, location string, version int) (entry, error) {
	path, query := s.mount+"/data/"+location, url.Values{}
	if version > 0 {
		query.Set("version", strconv.Itoa(version))
	}
	a, err := s.send(ctx, get, path, query, nil)
	if err != nil {
		return entry{}, err
	}
	if err := s.trouble(ctx, get, path, a); err != nil {
		return entry{}, err
	}
	e := entry{place: s.place(location)}
	if len(a.data) == 0 || string(a.data) == "null" {
		if a.status == http.StatusOK {
			return entry{}, fmt.Errorf("%s: vault answered no data: is the mount a KV engine of version 2?", e.place)
		}
		return e, nil
	}
	var parts struct {
		Data     map[string]json.RawMessage `json:"data"`
		Metadata *struct {
			Version   int    `json:"version"`
			Created   string `json:"created_time"`
			Destroyed bool   `json:"destroyed"`
		} `json:"metadata"`
	}
	// The decoder's own words may quote what it read. A KV engine of version 1 would have
	// answered something else than these two.
	if json.Unmarshal(a.data, &parts) != nil || parts.Metadata == nil || parts.Metadata.Version == 0 {
		return entry{}, fmt.Errorf("%s: vault answered something else than a versioned secret: is the mount a KV engine of version 2?", e.place)
	}
	e.version, e.created, e.destroyed, e.data = parts.Metadata.Version, parts.Metadata.Created, parts.Metadata.Destroyed, parts.Data
	if a.status == http.StatusNotFound {
		e.data = nil
	}
	return e, nil
}

// missing says why e cannot be read, with what to do.
func missing(e entry) error {
	switch {
	case e.version == 0:
		return fmt.Errorf("%s is %w in vault: the path goes below the mount and without \"data/\"", e.place, store.ErrNotFound)
	case e.destroyed:
		return fmt.Errorf("%s is %w in vault: its version %d was destroyed; write the secret anew, or bring an older version back with \"vault kv rollback\"", e.place, store.ErrNotFound, e.version)
	}
	return fmt.Errorf("%s is %w in vault: its version %d was deleted; \"vault kv undelete -versions=%d\" brings it back", e.place, store.ErrNotFound, e.version, e.version)
}

// text answers the value of one key.
func (e entry) text(key string) (v secret.Value, found bool, err error) {
	raw, found := e.data[key]
	if !found {
		return secret.Value{}, false, nil
	}
	var text *string
	if json.Unmarshal(raw, &text) != nil || text == nil {
		return secret.Value{}, true, fmt.Errorf("%s: the key %q is %w: it holds no text", e.place, key, store.ErrAmbiguous)
	}
	return secret.NewValue(*text), true, nil
}

// with answers the data that holds want; e's own is left alone.
func (e entry) with(ref store.Ref, want store.State) (map[string]json.RawMessage, error) {
	data := maps.Clone(e.data)
	current, err := quote(want.Current)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.place, err)
	}
	data[ref.Variable] = current
	if ref.Previous == "" {
		return data, nil
	}
	if want.Previous.IsZero() {
		delete(data, ref.Previous)
		return data, nil
	}
	if data[ref.Previous], err = quote(want.Previous); err != nil {
		return nil, fmt.Errorf("%s: %w", e.place, err)
	}
	return data, nil
}

func quote(v secret.Value) (json.RawMessage, error) {
	if !utf8.ValidString(v.Reveal()) {
		return nil, fmt.Errorf("a value is %w: it is not UTF-8", store.ErrAmbiguous)
	}
	raw, err := json.Marshal(v.Reveal())
	if err != nil {
		return nil, errors.New("a value could not be encoded")
	}
	return raw, nil
}

// holds reports that e already is what want asks for.
func (e entry) holds(ref store.Ref, want store.State) bool {
	current, found, err := e.text(ref.Variable)
	if err != nil || !found || !current.Equal(want.Current) {
		return false
	}
	if ref.Previous == "" {
		return true
	}
	previous, found, err := e.text(ref.Previous)
	return err == nil && found == !want.Previous.IsZero() && previous.Equal(want.Previous)
}

// set writes data as the version after the one given; moved reports that there is
// another version by now, so that nothing was written.
func (s *Store) set(ctx context.Context, location string, version int, data any) (moved bool, a answer, err error) {
	a, err = s.act(ctx, put, "data/"+location, map[string]any{"options": map[string]int{"cas": version}, "data": data})
	if a.status != http.StatusBadRequest {
		return false, a, err
	}
	// 400 has several causes and one shape, so the version itself is asked.
	now, lookErr := s.get(ctx, location)
	if lookErr == nil && now.version != version {
		return true, a, nil
	}
	return false, a, err
}
