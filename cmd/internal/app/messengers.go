package app

import (
	"log/slog"
	"net/http"
	"time"

	slackapi "github.com/slack-go/slack"

	"rekey/audit/ledger"
	"rekey/bot"
	"rekey/bot/notify"
	"rekey/bot/notify/pagerduty"
	"rekey/bot/notify/slack"
	"rekey/commands/jobs"
)

// newNotifier builds the messengers that the settings have tokens for. What has to
// be told through one that is missing stays recorded.
func newNotifier(cfg Config, store ledger.Store, log *slog.Logger, outward http.RoundTripper) (*notify.Notifier, error) {
	nc := notify.Config{
		Store: store, Replica: jobs.ReplicaID, Log: log,
		Channel: cfg.Catalogue.Slack.Channel, Source: cfg.Catalogue.PagerDuty.Source,
	}
	client := &http.Client{Transport: outward, Timeout: 15 * time.Second}
	s := cfg.Settings
	var err error
	if !s.SlackBotToken.IsZero() {
		api := slackapi.New(s.SlackBotToken.Reveal(), slackOptions(s.SlackAPIURL, client)...)
		if nc.Slack, err = slack.New(slack.Config{API: api}); err != nil {
			return nil, err
		}
	}
	if cfg.Catalogue.PagerDuty.Enabled && !s.PagerDutyRoutingKey.IsZero() {
		nc.Page, err = pagerduty.New(pagerduty.Config{RoutingKey: s.PagerDutyRoutingKey, URL: s.PagerDutyEventsURL, HTTPClient: client})
		if err != nil {
			return nil, err
		}
	}
	return notify.New(nc)
}

// bot builds the door for Slack.
func (a *App) bot() (*bot.Bot, error) {
	s := a.cfg.Settings
	client := &http.Client{Transport: a.outward(), Timeout: 15 * time.Second}
	options := append(slackOptions(s.SlackAPIURL, client), slackapi.OptionAppLevelToken(s.SlackAppToken.Reveal()))
	return bot.New(bot.Config{
		API:  slackapi.New(s.SlackBotToken.Reveal(), options...),
		Desk: a.desk, Log: a.log, Panicked: a.sentry.panicked,
		Scrub: func(b []byte) []byte {
			clean, _ := a.guard.Scrub(b)
			return clean
		},
	})
}

func (a *App) outward() http.RoundTripper { return a.guard.Transport(http.DefaultTransport) }

func slackOptions(url string, client *http.Client) []slackapi.Option {
	options := []slackapi.Option{slackapi.OptionHTTPClient(client)}
	if url != "" {
		options = append(options, slackapi.OptionAPIURL(url))
	}
	return options
}
