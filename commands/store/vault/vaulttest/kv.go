package vaulttest

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// defaultMaxVersions is how many versions are kept unless configured.
const defaultMaxVersions = 10

// engine is one KV version 2 engine.
type engine struct {
	secrets     map[string]*keyed
	maxVersions int
	casRequired bool
}

// keyed is one secret with its history.
type keyed struct {
	current, oldest int
	versions        map[int]*versioned
	created         time.Time
	updated         time.Time
	maxVersions     int
	casRequired     bool
	custom          map[string]string
}

// versioned is one version. data is what was written, byte for byte; nil when destroyed.
type versioned struct {
	data      []byte
	created   time.Time
	deleted   time.Time
	destroyed bool
}

func (v *versioned) describe(k *keyed, number int) map[string]any {
	return map[string]any{
		"version": number, "created_time": stamp(v.created), "deletion_time": stamp(v.deleted),
		"destroyed": v.destroyed, "custom_metadata": k.customOrNil(),
	}
}

func (k *keyed) customOrNil() any {
	if len(k.custom) == 0 {
		return nil
	}
	return maps.Clone(k.custom)
}

func (e *engine) do(q request, verb, key string) (int, any) {
	var body map[string]json.RawMessage
	write := q.method == http.MethodPut || q.method == http.MethodPost
	if write && len(q.body) > 0 && json.Unmarshal(q.body, &body) != nil {
		return http.StatusBadRequest, refusal("failed to parse JSON input")
	}
	switch {
	case verb == "config" && write:
		return e.configure(body)
	case verb == "data" && q.method == http.MethodGet:
		return e.read(key, q.version)
	case verb == "data" && write:
		return e.write(key, body)
	case verb == "data" && q.method == http.MethodDelete:
		return e.each(key, []int{e.currentOf(key)}, softDelete)
	case verb == "delete" && write:
		return e.some(key, body, softDelete)
	case verb == "undelete" && write:
		return e.some(key, body, func(v *versioned) { v.deleted = time.Time{} })
	case verb == "destroy" && write:
		return e.some(key, body, func(v *versioned) { v.destroyed, v.data = true, nil })
	case verb == "metadata" && q.method == "LIST":
		return e.list(key)
	case verb == "metadata" && q.method == http.MethodGet:
		return e.metadata(key)
	case verb == "metadata" && write:
		return e.describe(key, body)
	case verb == "metadata" && q.method == http.MethodDelete:
		delete(e.secrets, key)
		return http.StatusNoContent, nil
	case slices.Contains([]string{"data", "delete", "undelete", "destroy", "metadata", "config"}, verb):
		return http.StatusMethodNotAllowed, refusal("1 error occurred:\n\t* unsupported operation\n\n")
	}
	return http.StatusNotFound, refusal()
}

func (e *engine) currentOf(key string) int {
	if k := e.secrets[key]; k != nil {
		return k.current
	}
	return 0
}

func (e *engine) read(key, asked string) (int, any) {
	k := e.secrets[key]
	if k == nil {
		return http.StatusNotFound, nil
	}
	number := k.current
	if n, err := strconv.Atoi(asked); err == nil && n > 0 {
		number = n
	}
	v := k.versions[number]
	if v == nil {
		return http.StatusNotFound, nil
	}
	whole := map[string]any{"data": nil, "metadata": v.describe(k, number)}
	if v.destroyed || !v.deleted.IsZero() {
		return http.StatusNotFound, wrapped(whole)
	}
	// As in the real one, numbers pass through 64-bit floats here.
	var data map[string]any
	if json.Unmarshal(v.data, &data) != nil {
		return http.StatusInternalServerError, refusal("1 error occurred:\n\t* internal error\n\n")
	}
	whole["data"] = data
	return http.StatusOK, wrapped(whole)
}

func (e *engine) write(key string, body map[string]json.RawMessage) (int, any) {
	data, err := object(body["data"])
	if key == "" {
		return http.StatusBadRequest, refusal("missing path")
	}
	if err != nil {
		return http.StatusBadRequest, refusal("no data provided")
	}
	k := e.secrets[key]
	if k == nil {
		k = &keyed{versions: map[int]*versioned{}, created: time.Now()}
	}
	var options map[string]json.RawMessage
	if len(body["options"]) > 0 && json.Unmarshal(body["options"], &options) != nil {
		return http.StatusBadRequest, refusal("error converting input for field \"options\"")
	}
	if raw, given := options["cas"]; given {
		cas, err := strconv.Atoi(strings.Trim(string(raw), `"`))
		if err != nil {
			return http.StatusBadRequest, refusal("error parsing check-and-set parameter")
		}
		if cas != k.current {
			return http.StatusBadRequest, refusal(mismatch)
		}
	} else if e.casRequired || k.casRequired {
		return http.StatusBadRequest, refusal(casMissing)
	}
	e.secrets[key] = k
	k.add(&versioned{data: data, created: time.Now()}, e.maxVersions)
	return http.StatusOK, wrapped(k.versions[k.current].describe(k, k.current))
}

// object answers raw compactly, if it is an object. Numbers keep their digits.
func object(raw json.RawMessage) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	if m == nil {
		m = map[string]any{}
	}
	return json.Marshal(m)
}

// add appends a version and prunes the oldest.
func (k *keyed) add(v *versioned, engineMax int) {
	k.current++
	k.versions[k.current] = v
	k.updated = v.created
	keep := max(k.maxVersions, engineMax)
	if keep == 0 {
		keep = defaultMaxVersions
	}
	if k.current-k.oldest >= keep {
		for n := range k.versions {
			if n <= k.current-keep {
				delete(k.versions, n)
			}
		}
		k.oldest = k.current - keep + 1
	}
}

func softDelete(v *versioned) {
	if v.deleted.IsZero() {
		v.deleted = time.Now()
	}
}

// some applies do to the versions that the body names.
func (e *engine) some(key string, body map[string]json.RawMessage, do func(*versioned)) (int, any) {
	var which []int
	if json.Unmarshal(body["versions"], &which) != nil || len(which) == 0 {
		return http.StatusBadRequest, refusal("No version number provided")
	}
	return e.each(key, which, do)
}

func (e *engine) each(key string, which []int, do func(*versioned)) (int, any) {
	if k := e.secrets[key]; k != nil {
		for _, n := range which {
			if v := k.versions[n]; v != nil && !v.destroyed {
				do(v)
			}
		}
	}
	return http.StatusNoContent, nil
}

func (e *engine) list(folder string) (int, any) {
	if folder != "" {
		folder += "/"
	}
	found := map[string]bool{}
	for key := range e.secrets {
		if rest, ok := strings.CutPrefix(key, folder); ok {
			name, _, deeper := strings.Cut(rest, "/")
			if deeper {
				name += "/"
			}
			found[name] = true
		}
	}
	if len(found) == 0 {
		return http.StatusNotFound, nil
	}
	return http.StatusOK, wrapped(map[string]any{"keys": slices.Sorted(maps.Keys(found))})
}

func (e *engine) metadata(key string) (int, any) {
	k := e.secrets[key]
	if k == nil {
		return http.StatusNotFound, nil
	}
	versions := map[string]any{}
	for n, v := range k.versions {
		versions[strconv.Itoa(n)] = map[string]any{"created_time": stamp(v.created), "deletion_time": stamp(v.deleted), "destroyed": v.destroyed}
	}
	return http.StatusOK, wrapped(map[string]any{
		"cas_required": k.casRequired, "created_time": stamp(k.created), "current_version": k.current,
		"custom_metadata": k.customOrNil(), "delete_version_after": "0s", "max_versions": k.maxVersions,
		"oldest_version": k.oldest, "updated_time": stamp(k.updated), "versions": versions,
	})
}

// describe writes the metadata of a secret, which may come before its first version.
func (e *engine) describe(key string, body map[string]json.RawMessage) (int, any) {
	k := e.secrets[key]
	if k == nil {
		k = &keyed{versions: map[int]*versioned{}, created: time.Now(), updated: time.Now()}
	}
	for name, to := range map[string]any{"max_versions": &k.maxVersions, "cas_required": &k.casRequired, "custom_metadata": &k.custom} {
		if raw, given := body[name]; given && json.Unmarshal(raw, to) != nil {
			return http.StatusBadRequest, refusal("error converting input for field \"" + name + "\"")
		}
	}
	e.secrets[key] = k
	return http.StatusNoContent, nil
}

func (e *engine) configure(body map[string]json.RawMessage) (int, any) {
	for name, to := range map[string]any{"max_versions": &e.maxVersions, "cas_required": &e.casRequired} {
		if raw, given := body[name]; given && json.Unmarshal(raw, to) != nil {
			return http.StatusBadRequest, refusal("error converting input for field \"" + name + "\"")
		}
	}
	return http.StatusNoContent, nil
}
