// Package cloud makes AWS clients the cheap way: from what Lambda puts into
// the environment, without looking for files, profiles or metadata services,
// which is most of what a cold start would cost. It also sets up logging. It
// imports no client but DynamoDB's: who needs another makes it of Config and
// Endpoint.
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

// Config is the configuration of every AWS client of this process: region and
// credentials of the Lambda environment, one HTTP client for all. Credentials
// that are missing are an error of the first call, not of this.
func Config() aws.Config {
	return aws.Config{
		Region:      os.Getenv("AWS_REGION"),
		Credentials: aws.CredentialsProviderFunc(credentials),
		HTTPClient:  client,
		Retryer:     newRetryer,
	}
}

// credentials are those of the function's role. They hold for as long as the
// process does.
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

// attemptTime bounds one attempt of a call. A call of DynamoDB takes
// milliseconds: what takes longer than this is lost, and a new attempt is
// faster.
const attemptTime = 4 * time.Second

// client is shared by all AWS clients, so that they share connections.
var client = awshttp.NewBuildableClient().
	WithTimeout(attemptTime).
	WithDialerOptions(func(d *net.Dialer) { d.Timeout = time.Second }).
	WithTransportOptions(func(t *http.Transport) {
		t.TLSHandshakeTimeout = 2 * time.Second
		t.MaxIdleConns = 64
		t.MaxIdleConnsPerHost = 64
		// Longer than a warm function waits for its next call.
		t.IdleConnTimeout = 5 * time.Minute
	})

// newRetryer tries three times, soon: a call has seconds. What DynamoDB
// refuses for a reason, a conflict of transactions too, is not tried again
// here; the table knows what that means.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 3
		o.MaxBackoff = 500 * time.Millisecond
	})
}

// Endpoint is the address that the standard variable of a service names
// (Endpoint("SESV2") reads AWS_ENDPOINT_URL_SESV2), or the one that
// AWS_ENDPOINT_URL names for all, or nil for AWS's own. It goes into a
// client's BaseEndpoint: a configuration that was not loaded from files does
// not read these variables by itself.
func Endpoint(service string) *string {
	for _, name := range []string{"AWS_ENDPOINT_URL_" + service, "AWS_ENDPOINT_URL"} {
		if address := os.Getenv(name); address != "" {
			return &address
		}
	}
	return nil
}

// DynamoDB is a client of the deployment's region.
func DynamoDB() *dynamodb.Client {
	return dynamodb.NewFromConfig(Config(), func(o *dynamodb.Options) {
		o.BaseEndpoint = Endpoint("DYNAMODB")
	})
}
