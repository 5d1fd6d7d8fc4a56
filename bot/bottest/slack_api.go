package bottest

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// apiError is a refusal of the Web API: {"ok":false,"error":code}. Refusals are HTTP 200.
type apiError struct {
	code string
	// violation marks what a correct app never sends, as against what it may meet.
	violation bool
	fields    map[string]any
}

func refused(code string) *apiError   { return &apiError{code: code} }
func violation(code string) *apiError { return &apiError{code: code, violation: true} }

// invalid is a refusal that lists what is wrong, as Slack does for blocks.
func invalid(code string, messages []string) *apiError {
	lines := make([]string, len(messages))
	for i, m := range messages {
		lines[i] = "[ERROR] " + m
	}
	return &apiError{code: code, violation: true, fields: map[string]any{
		"errors": messages, "response_metadata": map[string]any{"messages": lines},
	}}
}

// method is one Web API method: what it needs and what it does.
type method struct {
	app   bool   // takes an app-level token instead of a bot token
	scope string // required scope, "" for none
	run   func(s *Slack, a args) (map[string]any, *apiError)
}

func methods() map[string]method {
	return map[string]method{
		"apps.connections.open": {app: true, scope: "connections:write", run: (*Slack).openConnection},
		"auth.test":             {run: (*Slack).authTest},
		"chat.postMessage":      {scope: "chat:write", run: (*Slack).postMessage},
		"chat.postEphemeral":    {scope: "chat:write", run: (*Slack).postEphemeral},
		"chat.update":           {scope: "chat:write", run: (*Slack).updateMessage},
		"chat.delete":           {scope: "chat:write", run: (*Slack).deleteMessage},
		"conversations.history": {run: (*Slack).history},
		"conversations.replies": {run: (*Slack).replies},
		"conversations.info":    {run: (*Slack).channelInfo},
		"users.info":            {scope: "users:read", run: (*Slack).userInfo},

		"files.getUploadURLExternal":   {scope: "files:write", run: (*Slack).getUploadURL},
		"files.completeUploadExternal": {scope: "files:write", run: (*Slack).completeUpload},
	}
}

func (s *Slack) serveAPI(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("method")
	body, ok := s.receive(w, r)
	if !ok {
		return
	}
	s.faulty(w, r, name, slackStatus, func(w http.ResponseWriter) { s.call(w, r, name, body) })
}

func (s *Slack) call(w http.ResponseWriter, r *http.Request, name string, body []byte) {
	a, refusal := parseArgs(r, body)
	var answer map[string]any
	m, known := methods()[name]
	if refusal == nil {
		refusal = s.authorise(a, m)
	}
	switch {
	case refusal != nil:
	case !known:
		refusal = violation("unknown_method")
	default:
		key := name
		if name == "chat.postMessage" {
			key += " " + a.str("channel")
		}
		if wait, ok := s.limiter.take(key, s.cfg.Limits[name]); !ok {
			retryAfterHeader(w, wait)
			slackStatus(w, http.StatusTooManyRequests)
			return
		}
		answer, refusal = m.run(s, a)
	}
	if refusal == nil {
		answer["ok"] = true
		writeJSON(w, http.StatusOK, answer)
		return
	}
	if refusal.violation {
		s.problem("%s: %s %v", name, refusal.code, refusal.fields["errors"])
	}
	answer = map[string]any{"ok": false, "error": refusal.code}
	for k, v := range refusal.fields {
		answer[k] = v
	}
	writeJSON(w, http.StatusOK, answer)
}

// authorise applies the checks every method shares (docs.slack.dev, Web API, "Evaluating responses" and the errors
// listed for each method): a token, of a known app, of the right kind, with the method's scope.
func (s *Slack) authorise(a args, m method) *apiError {
	var scopes []string
	switch a.token {
	case "":
		return violation("not_authed")
	case s.appToken:
		if !m.app {
			return violation("not_allowed_token_type")
		}
		scopes = s.cfg.AppScopes
	case s.botToken:
		if m.app {
			return violation("not_allowed_token_type")
		}
		scopes = s.cfg.Scopes
	default:
		return violation("invalid_auth")
	}
	return needs(m.scope, scopes)
}

func needs(scope string, granted []string) *apiError {
	if scope == "" || slices.Contains(granted, scope) {
		return nil
	}
	return &apiError{code: "missing_scope", violation: true, fields: map[string]any{
		"needed": scope, "provided": strings.Join(granted, ","),
	}}
}

// slackStatus answers with a bare HTTP status the way Slack does: JSON for 429, a page of HTML for the rest.
func slackStatus(w http.ResponseWriter, status int) {
	if status == http.StatusTooManyRequests {
		writeJSON(w, status, map[string]any{"ok": false, "error": "ratelimited"})
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte("<html><body>Server Error</body></html>"))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	// An answer that cannot be written belongs to a client that has gone; there is nobody to tell.
	_, _ = w.Write(body)
}

// args are a call's arguments, from a form, a JSON object or the query.
type args struct {
	token  string
	values map[string]json.RawMessage // JSON bodies
	form   url.Values                 // everything else
}

// parseArgs reads the arguments. A token may come in the Authorization header or, for forms, as an argument; JSON
// bodies need the header (docs.slack.dev, "Using the Web API").
func parseArgs(r *http.Request, body []byte) (args, *apiError) {
	a := args{form: r.URL.Query()}
	a.token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case len(body) == 0:
	case err != nil:
		return a, violation("missing_post_type")
	case kind == "application/json":
		if err := json.Unmarshal(body, &a.values); err != nil {
			return a, violation("invalid_json")
		}
	case kind == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return a, violation("invalid_form_data")
		}
		a.form = form
	default:
		return a, violation("invalid_post_type")
	}
	if a.token == "" {
		a.token = a.form.Get("token")
	}
	return a, nil
}

func (a args) has(name string) bool {
	_, inJSON := a.values[name]
	return inJSON || a.form.Has(name)
}

func (a args) str(name string) string {
	raw, ok := a.values[name]
	if !ok {
		return a.form.Get(name)
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// raw returns a structured argument: JSON in a JSON body, or JSON in a string. It is nil when absent.
func (a args) raw(name string) json.RawMessage {
	if s := a.str(name); s != "" {
		return json.RawMessage(s)
	}
	return nil
}

func (a args) flag(name string) bool {
	v := a.str(name)
	return v == "true" || v == "1"
}

func (a args) number(name string, standard int) int {
	n, err := strconv.Atoi(a.str(name))
	if err != nil {
		return standard
	}
	return n
}
