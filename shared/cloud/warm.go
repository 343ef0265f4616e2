package cloud

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// warmTime bounds the warming. A function has ten seconds to start.
const warmTime = 2 * time.Second

// Warm reads one item that does not exist, so that the first connection is made during
// the start and not during a call. It uses dynamodb:BatchGetItem, which every function
// is allowed. A failure is only logged, since the function works without.
func Warm(ctx context.Context, db *dynamodb.Client, table string) {
	ctx, cancel := context.WithTimeout(ctx, warmTime)
	defer cancel()
	missing := &types.AttributeValueMemberS{Value: "WARM"}
	_, err := db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		table: {Keys: []map[string]types.AttributeValue{{"pk": missing, "sk": missing}}},
	}})
	if err != nil {
		slog.WarnContext(ctx, "The connection to the table is not warm.", "error", err.Error())
	}
}
