package rest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"agencyhub/shared/agency"
)

// How a message of huma becomes a sentence of ours:
//
//	validation.Msg…  ->  huma.ErrorDetail  ->  refusal, fieldError  ->  Problem
//	set by init          {Location, Message}   mark removed             errors[]
//
// huma validates the input against its schema and describes each fault by one of its
// package variables, which init sets to our sentences. It also reports errors of other
// packages, whose text is not for callers. So each of our sentences begins with a mark.
// fieldError removes the mark, and replaces a message without one.
const (
	ours = "\x00"
	// missing is followed by a field's name. huma gives such a message the location of the
	// object around the field.
	missing = ours + "missing:"
)

// init sets the package variables by which huma is configured, before any API exists.
func init() {
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	huma.ErrorFormatter = func(format string, args ...any) string {
		if !strings.Contains(format, "%") {
			return format // the argument is another package's error
		}
		return fmt.Sprintf(format, args...)
	}
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return &Problem{Status: status}
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		return ProblemOf(ctx.Context(), refusal(status, message, errs))
	}

	for message, sentence := range map[*string]string{
		&validation.MsgUnexpectedProperty:                 "There is no such field.",
		&validation.MsgExpectedRFC3339DateTime:            "Give a date and time such as 2030-01-31T12:00:00Z.",
		&validation.MsgExpectedRFC1123DateTime:            "Give a date and time in the form of HTTP headers.",
		&validation.MsgExpectedRFC3339Date:                "Give a date such as 2030-01-31.",
		&validation.MsgExpectedRFC3339Time:                "Give a time such as 12:00:00.",
		&validation.MsgExpectedRFC5322Email:               "Give an email address.",
		&validation.MsgExpectedRFC5890Hostname:            "Give a host name.",
		&validation.MsgExpectedRFC2673IPv4:                "Give an IPv4 address.",
		&validation.MsgExpectedRFC2373IPv6:                "Give an IPv6 address.",
		&validation.MsgExpectedRFCIPAddr:                  "Give an IP address.",
		&validation.MsgExpectedRFC3986URI:                 "Give a URL.",
		&validation.MsgExpectedRFC4122UUID:                "Give a UUID.",
		&validation.MsgExpectedRFC6570URITemplate:         "Give a URI template.",
		&validation.MsgExpectedRFC6901JSONPointer:         "Give a JSON pointer.",
		&validation.MsgExpectedRFC6901RelativeJSONPointer: "Give a relative JSON pointer.",
		&validation.MsgExpectedRegexp:                     "Give a regular expression.",
		&validation.MsgExpectedMatchAtLeastOneSchema:      "This value has none of the forms that it may have.",
		&validation.MsgExpectedMatchExactlyOneSchema:      "This value has none of the forms that it may have.",
		&validation.MsgExpectedNotMatchSchema:             "This value has a form that it must not have.",
		&validation.MsgExpectedPropertyNameInObject:       "A field that tells the kind of the value is missing.",
		&validation.MsgExpectedBoolean:                    "Give true or false.",
		&validation.MsgExpectedDuration:                   "Give a duration.",
		&validation.MsgExpectedNumber:                     "Give a number.",
		&validation.MsgExpectedInteger:                    "Give a whole number.",
		&validation.MsgExpectedString:                     "Give a text.",
		&validation.MsgExpectedBase64String:               "Give a text in base 64.",
		&validation.MsgExpectedArray:                      "Give a list.",
		&validation.MsgExpectedObject:                     "Give an object.",
		&validation.MsgExpectedArrayItemsUnique:           "Name nothing twice.",
		&validation.MsgExpectedOneOf:                      "Give one of: %s.",
		&validation.MsgExpectedMinimumNumber:              "Give a number of %v or more.",
		&validation.MsgExpectedExclusiveMinimumNumber:     "Give a number above %v.",
		&validation.MsgExpectedMaximumNumber:              "Give a number of %v or less.",
		&validation.MsgExpectedExclusiveMaximumNumber:     "Give a number below %v.",
		&validation.MsgExpectedNumberBeMultipleOf:         "Give a multiple of %v.",
		&validation.MsgExpectedMinLength:                  "This is too short: it needs %d characters or more.",
		&validation.MsgExpectedMaxLength:                  "This is too long: it may have %d characters at most.",
		&validation.MsgExpectedBePattern:                  "Give %s.",
		&validation.MsgExpectedMatchPattern:               "This must match %s.",
		&validation.MsgExpectedMinItems:                   "Give a list of %d or more.",
		&validation.MsgExpectedMaxItems:                   "Give a list of %d at most.",
		&validation.MsgExpectedMinProperties:              "Name %d or more.",
		&validation.MsgExpectedMaxProperties:              "Name %d at most.",
		&validation.MsgExpectedDependentRequiredProperty:  "The field %s is needed where %s is given.",
	} {
		*message = ours + sentence
	}
	validation.MsgExpectedRequiredProperty = missing + "%s"
}

// constants are our sentences for those messages of huma that are constants.
var constants = map[string]string{
	"required path parameter is missing":   "This part of the path is missing.",
	"required query parameter is missing":  "This parameter is missing.",
	"required header parameter is missing": "This header is missing.",
	"unknown query parameter":              "There is no such parameter.",
	"invalid integer":                      "Give a whole number.",
	"invalid float":                        "Give a number.",
	"invalid floating value":               "Give a number.",
	"invalid boolean":                      "Give true or false.",
}

// refusal returns huma's refusal of a call as an error of ours. Below 500 these are
// huma's 400, 413, 415 and 422, all of which mean malformed input.
func refusal(status int, message string, errs []error) error {
	if status >= 500 {
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
		return fmt.Errorf("huma: %d %s", status, message)
	}
	e := &agency.Error{Code: agency.Invalid, Message: "The call is not well formed: see errors."}
	for _, err := range errs {
		detailer, ok := err.(huma.ErrorDetailer)
		if !ok {
			continue
		}
		e.Fields = append(e.Fields, fieldError(detailer.ErrorDetail()))
	}
	// huma finds unknown fields in random order. Equal calls get equal answers.
	slices.SortFunc(e.Fields, func(a, b agency.FieldError) int { return strings.Compare(a.Field, b.Field) })
	switch len(e.Fields) {
	case 0:
		e.Message = "The call is not well formed."
	case 1:
		e.Message = e.Fields[0].Field + ": " + e.Fields[0].Message
	}
	return e
}

// fieldError returns one fault that huma found, in our words.
func fieldError(detail *huma.ErrorDetail) agency.FieldError {
	if name, ok := strings.CutPrefix(detail.Message, missing); ok {
		return agency.FieldError{Field: detail.Location + "." + name, Message: "This field is missing."}
	}
	sentence, ok := strings.CutPrefix(detail.Message, ours)
	if !ok {
		sentence = cmp.Or(constants[detail.Message], "This value is not allowed here.")
	}
	return agency.FieldError{Field: detail.Location, Message: sentence}
}
