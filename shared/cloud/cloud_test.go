package cloud

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
)

// lambdaEnvironment sets the variables that Lambda sets for a function.
func lambdaEnvironment(t *testing.T, endpoint string) {
	t.Helper()
	t.Setenv("AWS_REGION", "eu-test-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "session")
	t.Setenv("AWS_ENDPOINT_URL", "")
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
}

func TestWarmReadsOneMissingItem(t *testing.T) {
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		// The client writes the two keys in either order.
		var plain any
		if err := json.Unmarshal(body, &plain); err != nil {
			t.Error(err)
		}
		if body, err = json.Marshal(plain); err != nil {
			t.Error(err)
		}
		signature := r.Header.Get("Authorization")
		got = append(got, r.Header.Get("X-Amz-Target"), r.Header.Get("X-Amz-Security-Token"), string(body))
		if !strings.Contains(signature, "Credential=AKIDTEST/") || !strings.Contains(signature, "/eu-test-1/dynamodb/") {
			t.Errorf("signed for %q", signature)
		}
		_, _ = io.WriteString(w, "{}")
	}))
	defer server.Close()
	lambdaEnvironment(t, server.URL)
	lines := captureLog(t)
	Warm(t.Context(), DynamoDB(), "hub")
	want := []string{"DynamoDB_20120810.BatchGetItem", "session", `{"RequestItems":{"hub":{"Keys":[{"pk":{"S":"WARM"},"sk":{"S":"WARM"}}]}}}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if lines.Len() > 0 {
		t.Errorf("a warm start is logged as a failure: %s", lines)
	}
}

func TestAFailureToWarmIsLogged(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"}`)
	}))
	defer server.Close()
	lambdaEnvironment(t, server.URL)
	lines := captureLog(t)
	Warm(t.Context(), DynamoDB(), "hub")
	if !strings.Contains(lines.String(), "ResourceNotFoundException") {
		t.Errorf("a failure to warm is not logged: %s", lines)
	}
}

func TestRetries(t *testing.T) {
	tests := map[string]struct {
		status int
		kind   string
		calls  int32
	}{
		"the server's fault":   {500, "InternalServerError", 3},
		"throttled":            {400, "ProvisionedThroughputExceededException", 3},
		"a failed condition":   {400, "ConditionalCheckFailedException", 1},
		"a cancelled decision": {400, "TransactionCanceledException", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#`+test.kind+`"}`)
			}))
			defer server.Close()
			lambdaEnvironment(t, server.URL)
			_, err := DynamoDB().GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("hub"),
				Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "x"}}})
			if err == nil || calls.Load() != test.calls {
				t.Errorf("%d calls, %v", calls.Load(), err)
			}
		})
	}
}

func TestConnectionsAreShared(t *testing.T) {
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	lambdaEnvironment(t, server.URL)
	captureLog(t)
	// A connection returns to the pool shortly after its answer, so on a busy machine a
	// call can miss it. Without a pool there would be one for each call.
	const calls = 40
	for range calls {
		Warm(t.Context(), DynamoDB(), "hub")
	}
	if opened.Load() > calls/2 {
		t.Errorf("%d connections for %d calls in a row", opened.Load(), calls)
	}
}

func TestEndpoint(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "")
	t.Setenv("AWS_ENDPOINT_URL_SESV2", "")
	if got := Endpoint("SESV2"); got != nil {
		t.Errorf("nothing is named, but %s is used", *got)
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://all.test")
	if got := Endpoint("SESV2"); got == nil || *got != "http://all.test" {
		t.Errorf("%v", got)
	}
	t.Setenv("AWS_ENDPOINT_URL_SESV2", "http://mail.test")
	if got := Endpoint("SESV2"); got == nil || *got != "http://mail.test" {
		t.Errorf("%v", got)
	}
}

func TestMissingCredentialsAreNamed(t *testing.T) {
	lambdaEnvironment(t, "http://127.0.0.1:1")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	_, err := DynamoDB().GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("hub"), Key: map[string]types.AttributeValue{}})
	if err == nil || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Error(err)
	}
}

func TestLogLines(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newHandler(&out, "WARN")).With("function", "access")
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "id-1"})
	log.InfoContext(ctx, "too low")
	log.WarnContext(ctx, "in a call")
	log.WarnContext(context.Background(), "outside")
	var got []map[string]any
	for line := range strings.Lines(out.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if entry["timestamp"] == nil {
			t.Errorf("no timestamp in %s", line)
		}
		delete(entry, "timestamp")
		got = append(got, entry)
	}
	want := []map[string]any{
		{"level": "WARN", "message": "in a call", "function": "access", "lambdaRequestId": "id-1"},
		{"level": "WARN", "message": "outside", "function": "access"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func captureLog(t *testing.T) *bytes.Buffer {
	t.Helper()
	var lines bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(newHandler(&lines, "")))
	t.Cleanup(func() { slog.SetDefault(before) })
	return &lines
}

func TestMetricsAreLinesOfTheLog(t *testing.T) {
	t.Setenv("STACK_NAME", "hub")
	var out bytes.Buffer
	m := NewMeter(&out, func() time.Time { return time.UnixMilli(1_700_000_000_000) })
	m.Record("", "", One("Backlog", Count, 3), Metric{Name: "TimeToEmail", Unit: Seconds, Values: []float64{1.5, 2}})
	m.Record("Fate", "bounced", One("Mails", Count, 1))
	m.Record("", "", Metric{Name: "Nothing", Unit: Count})
	want := `{"Backlog":[3],"Stack":"hub","TimeToEmail":[1.5,2],"_aws":{"CloudWatchMetrics":[{"Dimensions":[["Stack"]],` +
		`"Metrics":[{"Name":"Backlog","Unit":"Count"},{"Name":"TimeToEmail","Unit":"Seconds"}],` +
		`"Namespace":"AgencyHub"}],"Timestamp":1700000000000}}` + "\n" +
		`{"Fate":"bounced","Mails":[1],"Stack":"hub","_aws":{"CloudWatchMetrics":[{"Dimensions":[["Stack","Fate"]],` +
		`"Metrics":[{"Name":"Mails","Unit":"Count"}],"Namespace":"AgencyHub"}],"Timestamp":1700000000000}}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
