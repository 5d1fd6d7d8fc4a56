package bottest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// SlackConfig says what kind of workspace to start. The zero value is a workspace with one channel, #devops-alerts,
// the scopes of the app's manifest and Slack's own limits.
type SlackConfig struct {
	// Listen is the address to listen on; by default a free port on loopback.
	Listen string
	// Scopes are the bot token's scopes; by default commands, chat:write, files:write and channels:history.
	Scopes []string
	// AppScopes are the app-level token's scopes; by default connections:write.
	AppScopes []string
	// Commands are the slash commands the app has registered; by default /rotate and /audit-secret.
	Commands []string
	// Channels are public channels the bot is a member of from the start; by default devops-alerts.
	Channels []string
	// Interactive says that the app's settings have interactivity switched on, which clicking a button needs.
	Interactive bool
	// AckTimeout is how long an envelope may stay unacknowledged; by default Slack's 3 s.
	AckTimeout time.Duration
	// EventRetries are the delays before an unacknowledged event is delivered again, each counted from the time-out
	// before it; by default Slack's: at once, after a minute, after five.
	EventRetries []time.Duration
	// PingInterval is the time between the server's WebSocket pings; by default 5 s.
	PingInterval time.Duration
	// DisconnectDelay is the time between a disconnect message and the end of the connection; by default 10 s.
	DisconnectDelay time.Duration
	// TicketLifetime is how long the address answered by apps.connections.open stays good; by default 30 s.
	TicketLifetime time.Duration
	// Limits overrides the rate limit of single methods; see [SlackLimits].
	Limits map[string]Limit
	// Now is the clock behind timestamps, tickets and rate limits; by default time.Now.
	Now func() time.Time
}

// SlackLimits returns the rate limits that apply by default, by method. chat.postMessage is limited for each channel
// ("one message per second per channel, short bursts tolerated"), the others by their documented tier (docs.slack.dev,
// Web API, rate limits). How long a burst may be is not published; ten messages is what this stand-in tolerates.
func SlackLimits() map[string]Limit {
	tier3 := Limit{Burst: 50, Every: 1200 * time.Millisecond}
	tier4 := Limit{Burst: 100, Every: 600 * time.Millisecond}
	return map[string]Limit{
		"chat.postMessage":      {Burst: 10, Every: time.Second},
		"chat.update":           tier3,
		"chat.delete":           tier3,
		"chat.postEphemeral":    tier4,
		"conversations.history": tier3,
		"conversations.replies": tier3,
		"conversations.info":    tier3,
		"users.info":            tier4,

		"files.getUploadURLExternal":   tier4,
		"files.completeUploadExternal": tier4,
		// Tier 1 is "1+ per minute", "infrequent bursts are tolerated"; an app may hold ten connections.
		"apps.connections.open": {Burst: 30, Every: 2 * time.Second},
	}
}

// Slack is a workspace with one app installed in it: the Web API, Socket Mode, the people and the channels.
type Slack struct {
	server
	cfg      SlackConfig
	limiter  limiter
	appToken string
	botToken string
	appID    string
	teamID   string
	botID    string
	botUser  string

	state    sync.Mutex
	lastTS   int64
	counter  int
	users    []*User
	channels []*Channel
	log      []Change
	changed  chan struct{}
	private  []Message

	uploads   []*upload
	noUploads bool

	tickets     map[string]time.Time
	sockets     []*socket
	nextSocket  int
	opened      int
	refuse      bool
	disabled    bool
	silentPings bool
	envelopes   map[string]*envelope
	responses   map[string]*responseURL
	problems    []string
}

// DefaultSlackConfig is the zero SlackConfig with everything it stands for spelled out.
func DefaultSlackConfig() SlackConfig { return SlackConfig{Interactive: true}.filled() }

func (cfg SlackConfig) filled() SlackConfig {
	fill(&cfg.AckTimeout, 3*time.Second)
	fill(&cfg.PingInterval, 5*time.Second)
	fill(&cfg.DisconnectDelay, 10*time.Second)
	fill(&cfg.TicketLifetime, 30*time.Second)
	fillList(&cfg.Scopes, "commands", "chat:write", "files:write", "channels:history")
	fillList(&cfg.AppScopes, "connections:write")
	fillList(&cfg.Commands, "/rotate", "/audit-secret")
	fillList(&cfg.Channels, "devops-alerts")
	if cfg.EventRetries == nil {
		cfg.EventRetries = []time.Duration{0, time.Minute, 5 * time.Minute}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	limits := SlackLimits()
	maps.Copy(limits, cfg.Limits)
	cfg.Limits = limits
	return cfg
}

// StartSlack starts a workspace; Close ends it.
func StartSlack(cfg SlackConfig) (*Slack, error) {
	cfg = cfg.filled()
	s := &Slack{
		cfg:       cfg,
		limiter:   limiter{now: cfg.Now},
		appToken:  "xapp-1-A0REKEY-" + random(8),
		botToken:  "xoxb-" + random(8),
		appID:     "A0REKEY",
		teamID:    "T0ACME",
		botID:     "B0REKEY",
		botUser:   "U0REKEY",
		changed:   make(chan struct{}),
		tickets:   map[string]time.Time{},
		envelopes: map[string]*envelope{},
		responses: map[string]*responseURL{},
	}
	for _, name := range cfg.Channels {
		s.Channel(name)
	}
	if err := s.start(cfg.Listen, s.routes()); err != nil {
		return nil, fmt.Errorf("starting Slack stand-in: %w", err)
	}
	return s, nil
}

// Close ends the workspace and every connection to it.
func (s *Slack) Close() error { return s.shut() }

// APIURL is the base of the Web API; it ends in a slash, as slack.OptionAPIURL wants it.
func (s *Slack) APIURL() string { return s.url + "/api/" }

// UIURL is the page on which a person can read the workspace and type into it.
func (s *Slack) UIURL() string { return s.url + "/ui/" }

// AppToken is the app-level token (xapp-…) that opens Socket Mode connections.
func (s *Slack) AppToken() string { return s.appToken }

// BotToken is the bot token (xoxb-…) that calls the Web API.
func (s *Slack) BotToken() string { return s.botToken }

// BotUserID is the user the bot's messages come from.
func (s *Slack) BotUserID() string { return s.botUser }

// Errors lists what the app did against the rules, in order: refused content, tokens and scopes, acknowledgements of
// nothing, late or oversized ones. What any correct app can meet (a rate limit, an unknown channel) is not in it.
func (s *Slack) Errors() []string {
	s.state.Lock()
	defer s.state.Unlock()
	return slices.Clone(s.problems)
}

func (s *Slack) problem(format string, args ...any) {
	s.state.Lock()
	defer s.state.Unlock()
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

func (s *Slack) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{method}", s.serveAPI)
	mux.HandleFunc("GET /link/", s.serveSocket)
	mux.HandleFunc("POST /commands/{id}", s.serveResponseURL)
	mux.HandleFunc("POST /upload/v1/{ticket}", s.serveUpload)
	s.routeUI(mux)
	return mux
}

// id makes an identifier in Slack's alphabet. Call it with state held.
func (s *Slack) id(prefix string) string {
	s.counter++
	return fmt.Sprintf("%s%08X", prefix, 0xC0DE00+s.counter)
}

// ts makes the next message timestamp: unique in the workspace and rising, as Slack's are in a channel. Call it with
// state held.
func (s *Slack) ts() string {
	micro := max(s.cfg.Now().UnixMicro(), s.lastTS+1)
	s.lastTS = micro
	return fmt.Sprintf("%d.%06d", micro/1e6, micro%1e6)
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand.Read ends the process instead
	return hex.EncodeToString(b)
}

func uuid() string {
	h := random(16)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

func fill(d *time.Duration, standard time.Duration) {
	if *d <= 0 {
		*d = standard
	}
}

func fillList(list *[]string, standard ...string) {
	if *list == nil {
		*list = standard
	}
}
