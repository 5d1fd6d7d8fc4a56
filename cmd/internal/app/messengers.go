package app

import (
	"context"
	"net/http"
	"time"

	slackapi "github.com/slack-go/slack"

	"rekey/bot"
	"rekey/bot/notify"
	"rekey/bot/notify/pagerduty"
	"rekey/bot/notify/slack"
	"rekey/commands/jobs"
)

// identify asks Slack who we are, for links in pages and for a word in the log where
// the bot token is wrong. rekey serves either way: what cannot be told is kept.
func (a *App) identify(ctx context.Context) {
	if a.slack == nil {
		return
	}
	who, err := a.slack.Identify(ctx)
	switch {
	case err == nil:
		a.log.Info("known to Slack", "workspace", who.Team, "user", who.UserID)
	case ctx.Err() == nil:
		a.log.Error("Slack does not take the bot token now; messages wait until it does", "cause", err.Error())
	}
}

// newNotifier builds the messengers that the settings have tokens for. What has to
// be told through one that is missing stays recorded.
func (a *App) newNotifier() (*notify.Notifier, error) {
	s, cat := a.cfg.Settings, a.cfg.Catalogue
	nc := notify.Config{
		Store: a.store, Replica: jobs.ReplicaID, Log: a.log,
		Channel: cat.Slack.Channel, Source: cat.PagerDuty.Source,
	}
	client := &http.Client{Transport: a.outward(), Timeout: 15 * time.Second}
	var err error
	if !s.SlackBotToken.IsZero() {
		api := slackapi.New(s.SlackBotToken.Reveal(), slackOptions(s.SlackAPIURL, client)...)
		if nc.Slack, err = slack.New(slack.Config{API: api}); err != nil {
			return nil, err
		}
		a.slack = nc.Slack
	}
	if cat.PagerDuty.Enabled && !s.PagerDutyRoutingKey.IsZero() {
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
		Reply: &http.Client{Transport: a.outward()},
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
