package cloud

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// warmTime bounds the warming, within the ten seconds of a function's start.
const warmTime = 2 * time.Second

// Warm reads one item that is not there, so that connecting, signing and
// encoding for the first time are paid for during the start. It reads as every
// function does, by dynamodb:BatchGetItem, and so needs no right of its own. A
// failure costs only that, so it is logged and the function starts.
func Warm(ctx context.Context, db *dynamodb.Client, table string) {
	ctx, cancel := context.WithTimeout(ctx, warmTime)
	defer cancel()
	nothing := &types.AttributeValueMemberS{Value: "WARM"}
	_, err := db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		table: {Keys: []map[string]types.AttributeValue{{"pk": nothing, "sk": nothing}}},
	}})
	if err != nil {
		slog.WarnContext(ctx, "The connection to the table is not warm.", "error", err.Error())
	}
}
