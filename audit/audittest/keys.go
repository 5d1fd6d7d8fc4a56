package audittest

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// ClientKey is a client key of the project: what a DSN is made of.
type ClientKey struct {
	Public  string // 32 hex digits; also the key's id in the API
	Secret  string // the second half of a legacy DSN
	Name    string
	Active  bool
	Created time.Time
	Limit   *KeyLimit // nil for none
	// Loader is the version of the browser SDK that the key's loader script serves.
	Loader string
}

// KeyLimit is a key's own rate limit: Count events in Window seconds.
type KeyLimit struct {
	Window int `json:"window"`
	Count  int `json:"count"`
}

const (
	defaultLoader = "10.x"
	longestName   = 64 // characters of a key's name
)

var hex32 = regexp.MustCompile(`^[a-f0-9]{32}$`)

// AddKey makes an active client key and answers it.
func (s *Sentry) AddKey(name string) ClientKey {
	k := ClientKey{Public: random(16), Secret: random(16), Name: name, Active: true, Created: time.Now(), Loader: defaultLoader}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, k)
	return k
}

// ChangeKey lets a person change a key in Sentry's settings.
func (s *Sentry) ChangeKey(public string, change func(*ClientKey)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.find(public); k != nil {
		change(k)
	}
}

// Keys are the client keys, oldest first.
func (s *Sentry) Keys() []ClientKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys)
}

// DSNOf is the DSN of a key; of a legacy one with its secret.
func (s *Sentry) DSNOf(k ClientKey, legacy bool) string {
	if legacy {
		return "http://" + k.Public + ":" + k.Secret + "@" + s.listener.Addr().String() + "/" + s.ProjectID
	}
	return "http://" + k.Public + "@" + s.listener.Addr().String() + "/" + s.ProjectID
}

// find answers the key itself; the caller holds mu.
func (s *Sentry) find(public string) *ClientKey {
	for i := range s.keys {
		if s.keys[i].Public == public {
			return &s.keys[i]
		}
	}
	return nil
}

// listKeys answers GET …/keys/: newest first, 100 a page.
func (s *Sentry) listKeys(w http.ResponseWriter, r *http.Request) {
	offset, err := cursor(r.URL.Query().Get("cursor"))
	if err != nil {
		detail(w, http.StatusBadRequest, "Invalid cursor parameter.")
		return
	}
	limit := 100
	if text := r.URL.Query().Get("per_page"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 100 {
			detail(w, http.StatusBadRequest, "Invalid per_page value. Cannot exceed 100.")
			return
		}
	}
	keys := s.Keys()
	slices.Reverse(keys)
	switch status := r.URL.Query().Get("status"); status {
	case "":
	case "active", "inactive":
		keys = slices.DeleteFunc(keys, func(k ClientKey) bool { return k.Active != (status == "active") })
	default:
		keys = nil
	}
	from, to := min(offset, len(keys)), min(offset+limit, len(keys))
	w.Header().Set("Link", s.links(r.URL, offset, limit, len(keys)))
	page := make([]map[string]any, 0, to-from)
	for _, k := range keys[from:to] {
		page = append(page, s.wireKey(k))
	}
	answer(w, page)
}

// keyBody is what POST and PUT take. Pointers tell "absent" from "false" and "null".
type keyBody struct {
	Name      *string         `json:"name"`
	IsActive  *bool           `json:"isActive"`
	RateLimit json.RawMessage `json:"rateLimit"`
	Loader    *string         `json:"browserSdkVersion"`
}

// read reads a body; false means that it was answered.
func (b *keyBody) read(w http.ResponseWriter, r *http.Request) bool {
	text, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Type") != "application/json" || json.Unmarshal(text, b) != nil {
		detail(w, http.StatusBadRequest, "JSON parse error")
		return false
	}
	if b.Name != nil && utf8.RuneCountInString(*b.Name) > longestName {
		field(w, "name", "Ensure this field has no more than 64 characters.")
		return false
	}
	return true
}

// limit is the rate limit a body leaves a key with.
func (b *keyBody) limit(before *KeyLimit) *KeyLimit {
	if b.RateLimit == nil {
		return before
	}
	var l KeyLimit
	if string(b.RateLimit) == "null" || json.Unmarshal(b.RateLimit, &l) != nil || l.Count == 0 || l.Window == 0 {
		return nil
	}
	return &l
}

func (s *Sentry) createKey(w http.ResponseWriter, r *http.Request) {
	var body keyBody
	if !body.read(w, r) {
		return
	}
	name := "Generated Name"
	if body.Name != nil && *body.Name != "" {
		name = *body.Name
	}
	k := s.AddKey(name)
	s.ChangeKey(k.Public, func(k *ClientKey) { k.Limit = body.limit(nil) })
	k.Limit = body.limit(nil)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(s.wireKey(k))
}

// withKey answers 404 for a key that does not exist.
func (s *Sentry) withKey(next func(w http.ResponseWriter, r *http.Request, k ClientKey)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		found := s.find(r.PathValue("key"))
		var k ClientKey
		if found != nil {
			k = *found
		}
		s.mu.Unlock()
		if found == nil {
			detail(w, http.StatusNotFound, "The requested resource does not exist")
			return
		}
		next(w, r, k)
	}
}

func (s *Sentry) showKey(w http.ResponseWriter, _ *http.Request, k ClientKey) {
	answer(w, s.wireKey(k))
}

// updateKey answers PUT …/keys/KEY/. As Sentry does, it sets the loader's SDK version
// back to the default where the body does not name one.
func (s *Sentry) updateKey(w http.ResponseWriter, r *http.Request, k ClientKey) {
	var body keyBody
	if !body.read(w, r) {
		return
	}
	if body.Name != nil && *body.Name != "" {
		k.Name = *body.Name
	}
	if body.IsActive != nil {
		k.Active = *body.IsActive
	}
	k.Limit = body.limit(k.Limit)
	k.Loader = defaultLoader
	if body.Loader != nil {
		k.Loader = *body.Loader
	}
	s.ChangeKey(k.Public, func(old *ClientKey) { *old = k })
	answer(w, s.wireKey(k))
}

func (s *Sentry) deleteKey(w http.ResponseWriter, _ *http.Request, k ClientKey) {
	s.mu.Lock()
	s.keys = slices.DeleteFunc(s.keys, func(other ClientKey) bool { return other.Public == k.Public })
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// wireKey is a client key as the API writes it.
func (s *Sentry) wireKey(k ClientKey) map[string]any {
	project, _ := strconv.Atoi(s.ProjectID)
	root := "http://" + s.listener.Addr().String()
	return map[string]any{
		"id": k.Public, "public": k.Public, "secret": k.Secret, "name": k.Name, "label": k.Name,
		"projectId": project, "isActive": k.Active, "rateLimit": k.Limit, "useCase": "user",
		"dateCreated": k.Created.UTC().Format("2006-01-02T15:04:05.000000Z"),
		"dsn": map[string]string{
			"public": s.DSNOf(k, false), "secret": s.DSNOf(k, true),
			"csp":      root + "/api/" + s.ProjectID + "/csp-report/?sentry_key=" + k.Public,
			"security": root + "/api/" + s.ProjectID + "/security/?sentry_key=" + k.Public,
		},
		"browserSdkVersion": k.Loader, "browserSdk": map[string]any{"choices": [][]string{{"latest", "latest"}, {defaultLoader, defaultLoader}}},
	}
}

// field is how the API complains about one field.
func field(w http.ResponseWriter, name, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string][]string{name: {text}})
}
