package leathertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

const (
	loginPath   = "/login/"
	accountPath = "/account/"
)

// Session is somebody's session in Django, as a browser has it. It is safe for
// concurrent use.
type Session struct {
	estate *Estate
	client *http.Client

	mu      sync.Mutex
	cookies map[string]string
}

var csrfField = regexp.MustCompile(`name="csrfmiddlewaretoken" value="([^"]+)"`)

// Login logs the user Editor in.
func (e *Estate) Login(ctx context.Context) (*Session, error) {
	s := &Session{
		estate: e, cookies: map[string]string{},
		client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	if err := s.post(ctx, loginPath, url.Values{"username": {Editor}, "password": {e.editor.Reveal()}}); err != nil {
		return nil, fmt.Errorf("logging in: %w", err)
	}
	if alive, err := s.Alive(ctx); err != nil || !alive {
		return nil, errors.Join(errors.New("logging in: there is no session afterwards"), err)
	}
	return s, nil
}

// AskReset asks for a password reset link for Editor, which comes by mail.
func (s *Session) AskReset(ctx context.Context) error {
	if err := s.post(ctx, "/password-reset/", url.Values{"email": {"editor@example.com"}}); err != nil {
		return fmt.Errorf("asking for a reset link: %w", err)
	}
	return nil
}

// Alive reports that Django still knows who this is.
func (s *Session) Alive(ctx context.Context) (bool, error) {
	status, _, err := s.do(ctx, http.MethodGet, accountPath, nil)
	switch {
	case err != nil:
		return false, err
	case status == http.StatusOK:
		return true, nil
	case status == http.StatusFound: // to the login page
		return false, nil
	}
	return false, fmt.Errorf("%s answered %d", accountPath, status)
}

// Follow opens a password reset link and reports whether Django takes it.
func (s *Session) Follow(ctx context.Context, link string) (bool, error) {
	u, err := url.Parse(link)
	if err != nil {
		return false, errors.New("the reset link is no URL")
	}
	// Django keeps the token in the session and redirects to an address without it.
	status, _, err := s.do(ctx, http.MethodGet, u.Path, nil)
	return status == http.StatusFound, err
}

func (s *Session) post(ctx context.Context, path string, form url.Values) error {
	_, page, err := s.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	token := csrfField.FindStringSubmatch(page)
	if token == nil {
		return fmt.Errorf("%s shows no form", path)
	}
	form.Set("csrfmiddlewaretoken", token[1])
	status, _, err := s.do(ctx, http.MethodPost, path, form)
	if err == nil && status != http.StatusFound {
		err = fmt.Errorf("%s answered %d", path, status)
	}
	return err
}

func (s *Session) do(ctx context.Context, method, path string, form url.Values) (status int, page string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, s.estate.URL(Django)+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	s.attach(req)
	res, err := s.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	s.learn(res)
	return res.StatusCode, string(body), err
}

func (s *Session) attach(req *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, value := range s.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value}) //nolint:gosec // what a browser sends back has no attributes
	}
}

// learn takes up cookies as a browser does. A page that was asked for before another
// one changed the session must not take the session away, so it forgets none.
func (s *Session) learn(res *http.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range res.Cookies() {
		if c.MaxAge >= 0 && c.Value != "" {
			s.cookies[c.Name] = c.Value
		}
	}
}
