package settings

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"agencyhub/shared/agency"
)

// Variable is the name of an environment variable that the template sets for functions.
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

// overrideVariable has the override of the settings, a JSON object or "".
const overrideVariable = "SETTINGS_OVERRIDE"

// Environment has the values of a function's variables. Those that it did not ask for
// are "".
type Environment struct {
	// TableName is the name of the DynamoDB table.
	TableName string
	// PublicURL is the origin of the console: scheme and host, without a slash at the
	// end.
	PublicURL string
	// SenderAddress is the plain address that emails are sent from, in ASCII.
	SenderAddress string
	// ConfigurationSet is the name of SES's configuration set, which publishes the fates
	// of emails.
	ConfigurationSet string
	// OIDCIssuer is the issuer of people's tokens, exactly as in their iss, and
	// OIDCClientID the console's id there, as a public client.
	OIDCIssuer, OIDCClientID string
	// BusName is the name of the EventBridge bus for events.
	BusName string
	// Settings are those of the embedded file and the override.
	Settings Settings
}

var nameForm = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,255}$`)

// ReadEnvironment reads the settings and the variables that a function needs. Its error
// names every variable and setting that is missing or malformed.
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
		SenderAddress:    {&e.SenderAddress, isAddress, "must be one plain email address such as hub@example.com, a domain with other letters in its xn-- form"},
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

// isAddress reports whether SES takes a sender: an address in ASCII, without a name.
// Its case is kept, since IAM compares it with ses:FromAddress.
func isAddress(s string) bool {
	isASCII := !strings.ContainsFunc(s, func(r rune) bool { return r > '~' })
	return s != "" && isASCII && strings.EqualFold(agency.NormaliseEmail(s), s)
}
