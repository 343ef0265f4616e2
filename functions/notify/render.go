package main

import (
	"embed"
	"fmt"
	"html"
	"html/template"
	"strings"

	"agencyhub/shared/outbox"
	"agencyhub/shared/settings"
)

// email is an email as it is sent. StopURL stops unsolicited mail to its mailbox; ""
// for a solicited one.
type email struct{ Subject, Text, HTML, StopURL string }

//go:embed templates
var files embed.FS

// templates writes emails: the parsed template of each kind.
type templates struct {
	kinds  map[string]*template.Template
	inline *strings.Replacer
}

// sharedFiles names the template file of a kind that is another one sent again, or
// sent to the other kind of payer. Every other kind has a file of its own.
var sharedFiles = map[string]string{
	"resent": "requested", "reminded": "requested",
	"created-client": "invited", "invited-again": "invited", "invited-reminder": "invited", "offered-again": "offered", "offered-reminder": "offered",
	"resent-person": "requested-person", "reminded-person": "requested-person",
	"plan-changed-agency": "plan-changed", "subscription-cancelled-agency": "subscription-cancelled",
	"subscription-resumed-agency": "subscription-resumed", "subscription-frozen-agency": "subscription-frozen",
	"payment-failed-agency": "payment-failed", "payment-recovered-agency": "payment-recovered",
}

// parseTemplates parses the template of every kind that a rule names. A file says
// what differs: "subject", "preheader", "title", "body" and "why". accent is the
// colour of links and buttons.
func parseTemplates(accent settings.Accent) (templates, error) {
	source, err := files.ReadFile("templates/layout.tmpl")
	if err != nil {
		return templates{}, err
	}
	colours := strings.NewReplacer("@accent@", string(accent), "@accent-in-the-dark@", string(accent.InTheDark()))
	layout, err := template.New("").Funcs(template.FuncMap{"short": short}).Parse(colours.Replace(string(source)))
	if err != nil {
		return templates{}, err
	}
	out := templates{kinds: map[string]*template.Template{}, inline: inlineStyles(accent)}
	for _, rules := range emailRules {
		for _, rule := range rules {
			if out.kinds[rule.kind], err = parse(layout, rule.kind); err != nil {
				return templates{}, fmt.Errorf("template of %s: %w", rule.kind, err)
			}
		}
	}
	out.kinds[outbox.DigestKind], err = parse(layout, outbox.DigestKind)
	return out, err
}

func parse(layout *template.Template, kind string) (*template.Template, error) {
	file := kind
	if other, ok := sharedFiles[kind]; ok {
		file = other
	}
	source, err := files.ReadFile("templates/" + file + ".tmpl")
	if err != nil {
		return nil, err
	}
	t, err := layout.Clone()
	if err != nil {
		return nil, err
	}
	return t.Parse(string(source))
}

// subject returns the subject of an email of a kind. Nothing in it is an encoded word.
func (t templates) subject(kind string, data emailData) (string, error) {
	of, ok := t.kinds[kind]
	if !ok {
		return "", fmt.Errorf("no template for %s", kind)
	}
	var subject strings.Builder
	if err := of.ExecuteTemplate(&subject, "subject", data); err != nil {
		return "", err
	}
	return plainSubject(strings.Join(strings.Fields(html.UnescapeString(subject.String())), " ")), nil
}

// render writes an email of a kind. The text part is derived from the HTML before
// the styles are put in.
func (t templates) render(kind string, data emailData) (email, error) {
	of, ok := t.kinds[kind]
	if !ok {
		return email{}, fmt.Errorf("no template for %s", kind)
	}
	var document strings.Builder
	if err := of.ExecuteTemplate(&document, "layout", data); err != nil {
		return email{}, err
	}
	subject, err := t.subject(kind, data)
	if err != nil {
		return email{}, err
	}
	return email{
		Subject: subject,
		Text:    textOf(document.String()),
		HTML:    t.inline.Replace(document.String()),
		StopURL: data.StopURL,
	}, nil
}
