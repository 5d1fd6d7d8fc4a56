package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rekey/commands/policy"
	"rekey/commands/secret"
)

var (
	userID    = regexp.MustCompile(`^[UW][A-Z0-9]{2,}$`)
	channelID = regexp.MustCompile(`^[CG][A-Z0-9]{2,}$`)
)

func (d *document) slack(top *object) {
	o := top.object("slack", "slack", "channel")
	if s := o.text("channel"); s != "" {
		if !channelID.MatchString(s) {
			d.fault(o.blame("channel"), `"channel" of slack is no channel id: `+quoted(s), "write the id that Slack shows at the end of the channel's details, such as C012AB3CD")
		}
		d.cat.Slack.Channel = s
	} else if top.has("slack") {
		o.must("channel", "write the id of the channel that is told, such as C012AB3CD")
	}
	p := top.object("pagerduty", "pagerduty", "enabled", "source")
	d.cat.PagerDuty = secret.PagerDuty{Enabled: p.boolean("enabled"), Source: p.text("source")}
	if d.cat.PagerDuty.Enabled {
		p.must("source", "write what on-call shall read as the source, such as leather-api")
	}
}

func (d *document) access(top *object) {
	if !top.must("access", "write who may rotate: access: {responders: [U012AB3CD], cli: [root]}") {
		return
	}
	o := top.object("access", "access", "responders", "readers", "channels", "cli")
	ids := func(name string, form *regexp.Regexp, also, hint string) []string {
		var out []string
		for _, i := range o.texts(name) {
			switch {
			case !form.MatchString(i.text) && i.text != also:
				d.fault(i.node, fmt.Sprintf("%s in %q of access is no id", quoted(i.text), name), hint)
			case slices.Contains(out, i.text):
				d.fault(i.node, fmt.Sprintf("%s stands twice in %q of access", quoted(i.text), name), "take one out")
			default:
				out = append(out, i.text)
			}
		}
		return out
	}
	const member = "write the member id that Slack shows in the person's profile under the three dots, such as U012AB3CD"
	d.cat.Access = secret.Access{
		Responders: ids("responders", userID, "", member),
		Readers:    ids("readers", userID, "", member),
		Channels:   ids("channels", channelID, policy.Direct, "write a channel id such as C012AB3CD, or "+policy.Direct+" for direct messages"),
		CLI:        ids("cli", regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*\$?$`), "", "write the name of a user of this machine"),
	}
	if !o.broken && !o.has("responders") && !o.has("cli") {
		d.fault(o.at, "nobody may rotate a secret", "write responders (Slack member ids) or cli (users of this machine) under access")
	}
}

func (d *document) contacts(top *object) {
	for _, n := range top.list("contacts", "a list: - {name: On-call, phone: …}") {
		o := d.object(n, n, "a contact", "name", "slack", "email", "phone")
		o.must("name", "write who this is")
		c := secret.Contact{Name: o.text("name"), Slack: o.text("slack"), Email: o.text("email"), Phone: o.text("phone")}
		if c.Slack == "" && c.Email == "" && c.Phone == "" {
			d.fault(n, "a contact has no way to reach it", "write slack, email or phone")
		}
		if at := strings.IndexByte(c.Email, '@'); c.Email != "" && (at < 1 || at == len(c.Email)-1) {
			d.fault(o.blame("email"), "the email of a contact is no address: "+quoted(c.Email), "write devops@example.com")
		}
		d.cat.Contacts = append(d.cat.Contacts, c)
	}
}
