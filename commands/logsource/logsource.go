// Package logsource opens the logs of the catalogue that are no files: Grafana Loki, Amazon
// CloudWatch Logs and journald. It exists so that the audit and the checklist reach them, and
// their credentials, in one way.
package logsource

import (
	"context"
	"errors"
	"net/http"

	"rekey/audit/logs"
	"rekey/audit/logs/cloudwatch"
	"rekey/audit/logs/journal"
	"rekey/audit/logs/loki"
	"rekey/commands/secret"
	"rekey/commands/store/aws"
)

// Open answers the source of a log that is no file. It asks it nothing yet. The error is a
// *logs.Fault: a sentence that says what to do. The client carries what goes to Loki; nil is
// a default one. Redirections are not followed, as a token must not travel on.
func Open(ctx context.Context, entry secret.Log, client *http.Client) (logs.Source, error) {
	format := logs.Format(entry.Format)
	var source logs.Source
	var err error
	switch {
	case entry.Loki.URL != "":
		source, err = openLoki(entry.Loki, format, client)
	case entry.CloudWatch.Group != "":
		c := entry.CloudWatch
		settings, loadErr := aws.LoadConfig(ctx, aws.Config{Region: c.Region, Endpoint: c.Endpoint})
		if loadErr != nil {
			return nil, &logs.Fault{Why: "The settings for AWS are not complete: " + loadErr.Error() + "."}
		}
		source, err = cloudwatch.New(cloudwatch.Config{Group: c.Group, Format: format, AWS: settings, Endpoint: c.Endpoint})
	case entry.Journal.Unit != "":
		source, err = journal.New(journal.Config{Unit: entry.Journal.Unit, Format: format, Directory: entry.Journal.Directory})
	default:
		err = errors.New("it is in no place rekey knows")
	}
	if err != nil {
		return nil, &logs.Fault{Why: "Its entry in the catalogue is wrong: " + err.Error() + "."}
	}
	return source, nil
}

func openLoki(w secret.Loki, format logs.Format, client *http.Client) (logs.Source, error) {
	if client == nil {
		client = &http.Client{} // a Scan bounds each request
	}
	still := *client
	still.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	cfg := loki.Config{URL: w.URL, Selector: w.Selector, Format: format, Tenant: w.Tenant, User: w.User, HTTPClient: &still}
	if !w.Token.IsZero() {
		cfg.Token = func() (string, error) {
			v, err := w.Token.Read()
			return v.Reveal(), err
		}
	}
	return loki.New(cfg)
}
