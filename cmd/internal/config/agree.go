package config

// Agree checks that the environment has what the catalogue asks for. The error is
// an Errors.
func Agree(c *Config, s Settings) error {
	var faults []Fault
	if c.Catalogue.PagerDuty.Enabled && s.PagerDutyRoutingKey.IsZero() {
		faults = append(faults, Fault{
			File: "PAGERDUTY_ROUTING_KEY", Message: "it is not set, and pagerduty is enabled in " + c.Path,
			Hint: "set it or PAGERDUTY_ROUTING_KEY_FILE, or write enabled: false",
		})
	}
	if s.Slack() && c.Catalogue.Slack.Channel == "" {
		faults = append(faults, Fault{
			File: c.Path, Message: "no Slack channel is named, and the Slack tokens are set",
			Hint: "write slack: {channel: C012AB3CD} with the id of the channel that is told",
		})
	}
	return sorted(faults)
}
