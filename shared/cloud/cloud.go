// Package cloud makes AWS clients from Lambda's environment variables alone. It does not
// look for files, profiles or metadata services, which would take half of a cold start.
// It also sets up logging, metrics and the use cases. Its only client is DynamoDB's; a
// function makes another from Config and Endpoint.
package cloud

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Config returns the configuration of every AWS client: region and credentials from the
// environment, and one HTTP client for all. Missing credentials are an error of the
// first call, not of Config.
func Config() aws.Config {
	return aws.Config{
		Region:      os.Getenv("AWS_REGION"),
		Credentials: aws.CredentialsProviderFunc(credentials),
		HTTPClient:  client,
		Retryer:     newRetryer,
	}
}

// credentials returns the credentials of the function's role. They are valid for longer
// than the process lives.
func credentials(context.Context) (aws.Credentials, error) {
	c := aws.Credentials{
		AccessKeyID:     os.Getenv("AWS_ACCESS_KEY_ID"),
		SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken:    os.Getenv("AWS_SESSION_TOKEN"),
		Source:          "environment",
	}
	if !c.HasKeys() {
		return aws.Credentials{}, errors.New("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
	}
	return c, nil
}

// attemptTime bounds one attempt of a call. A call of DynamoDB takes milliseconds, so
// after this time a new attempt is faster.
const attemptTime = 4 * time.Second

// client is the HTTP client of all AWS clients, so that they share connections.
var client = awshttp.NewBuildableClient().
	WithTimeout(attemptTime).
	WithDialerOptions(func(d *net.Dialer) { d.Timeout = time.Second }).
	WithTransportOptions(func(t *http.Transport) {
		t.TLSHandshakeTimeout = 2 * time.Second
		t.MaxIdleConns = 64
		t.MaxIdleConnsPerHost = 64
		// This is longer than a warm function waits for its next call.
		t.IdleConnTimeout = 5 * time.Minute
	})

// newRetryer makes up to three attempts within a second or two, since a call has only
// seconds. It does not retry a refusal such as a transaction conflict, which is for the
// table to handle.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 3
		o.MaxBackoff = 500 * time.Millisecond
	})
}

// Endpoint returns the endpoint for a client's BaseEndpoint: the value of the service's
// variable (AWS_ENDPOINT_URL_SESV2 for "SESV2") or of AWS_ENDPOINT_URL, or nil for AWS's
// own. The SDK reads these variables only with a configuration loaded from files.
func Endpoint(service string) *string {
	for _, name := range []string{"AWS_ENDPOINT_URL_" + service, "AWS_ENDPOINT_URL"} {
		if address := os.Getenv(name); address != "" {
			return &address
		}
	}
	return nil
}

// DynamoDB returns a client for the deployment's region, by whose responses Now goes.
func DynamoDB() *dynamodb.Client {
	return dynamodb.NewFromConfig(Config(), func(o *dynamodb.Options) {
		o.BaseEndpoint = Endpoint("DYNAMODB")
		o.HTTPClient = clockReader{client}
	})
}
