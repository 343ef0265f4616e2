package settings

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Variable is an environment variable that the template gives to functions.
type Variable string

// The variables of the product.
const (
	TableName        Variable = "TABLE_NAME"
	PublicURL        Variable = "PUBLIC_URL"
	SenderAddress    Variable = "SENDER_ADDRESS"
	ConfigurationSet Variable = "CONFIGURATION_SET"
	OIDCIssuer       Variable = "OIDC_ISSUER"
	OIDCClientID     Variable = "OIDC_CLIENT_ID"
	BusName          Variable = "BUS_NAME"
)

// overrideVariable holds a JSON object laid over the settings; empty for none.
const overrideVariable = "SETTINGS_OVERRIDE"

// Environment is what a function was given. Fields of variables that it did
// not ask for are "".
type Environment struct {
	// TableName is the DynamoDB table's.
	TableName string
	// PublicURL is where people reach the hub: scheme and host, no slash at the
	// end.
	PublicURL string
	// SenderAddress is the plain address that emails come from.
	SenderAddress string
	// ConfigurationSet is SES's, for the fate of emails.
	ConfigurationSet string
	// OIDCIssuer is whose tokens say who somebody is, exactly as in their iss, and
	// OIDCClientID what the console is to it: a public client.
	OIDCIssuer, OIDCClientID string
	// BusName is the EventBridge bus's, for what happened.
	BusName string
	// Settings are the file's with the override laid over.
	Settings Settings
}

var nameForm = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,255}$`)

// ReadEnvironment reads the settings and the variables that a function needs.
// Its error says everything that is missing or malformed, each by its name.
func ReadEnvironment(needs ...Variable) (Environment, error) {
	var e Environment
	var wrong []error
	for variable, reader := range map[Variable]struct {
		into  *string
		valid func(string) bool
		must  string
	}{
		TableName:        {&e.TableName, nameForm.MatchString, "must be a table's name"},
		PublicURL:        {&e.PublicURL, isOrigin, "must be a scheme and a host such as https://hub.example.com, without a slash at the end"},
		SenderAddress:    {&e.SenderAddress, isAddress, "must be one plain email address such as hub@example.com"},
		ConfigurationSet: {&e.ConfigurationSet, nameForm.MatchString, "must be a configuration set's name"},
		OIDCIssuer:       {&e.OIDCIssuer, isIssuer, "must be an issuer's URL such as https://login.example.com"},
		OIDCClientID:     {&e.OIDCClientID, isClientID, "must be a client's id"},
		BusName:          {&e.BusName, nameForm.MatchString, "must be a bus's name"},
	} {
		if !slices.Contains(needs, variable) {
			continue
		}
		*reader.into = os.Getenv(string(variable))
		if *reader.into == "" {
			wrong = append(wrong, fmt.Errorf("%s is not set: it %s", variable, reader.must))
		} else if !reader.valid(*reader.into) {
			wrong = append(wrong, fmt.Errorf("%s %s", variable, reader.must))
		}
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	var err error
	if e.Settings, err = Load(os.Getenv(overrideVariable)); err != nil {
		source := string(overrideVariable)
		if _, shipped := Load(""); shipped != nil {
			source, err = "settings.json", shipped
		}
		wrong = append(wrong, fmt.Errorf("%s: %w", source, err))
	}
	return e, errors.Join(wrong...)
}

func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && s == u.Scheme+"://"+u.Host
}

func isIssuer(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.RawQuery == "" && u.Fragment == ""
}

func isClientID(s string) bool {
	return len(s) <= 300 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func isAddress(s string) bool {
	address, err := mail.ParseAddress(s)
	return err == nil && address.Address == s
}
