package table

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"agencyhub/shared/service"
)

// sweepItem is what the newest run of cleanup has reported. There is one.
type sweepItem struct {
	At               string `dynamodbav:"at"`
	Version          string `dynamodbav:"version"`
	Finished         bool   `dynamodbav:"finished"`
	Failed           int    `dynamodbav:"failed"`
	Backlog          *int   `dynamodbav:"backlog"`
	OldestDue        string `dynamodbav:"oldestDue"`
	Unfinished       *int   `dynamodbav:"unfinished"`
	OldestUnfinished string `dynamodbav:"oldestUnfinished"`
	AtLeast          bool   `dynamodbav:"atLeast"`
}

// SaveSweep keeps what a run of cleanup reports. It returns false, and changes nothing,
// if there is the report of a run that ended later.
func (t *Table) SaveSweep(ctx context.Context, s service.Sweep) (bool, error) {
	return t.update(ctx, sweepKey(),
		"SET #at = :at, #version = :version, #finished = :finished, #failed = :failed, #backlog = :backlog, #oldestDue = :oldestDue, "+
			"#unfinished = :unfinished, #oldestUnfinished = :oldestUnfinished, #atLeast = :atLeast",
		"attribute_not_exists(#pk) OR #at <= :at",
		map[string]types.AttributeValue{
			":at": text(stamp(s.At)), ":version": text(s.Version), ":finished": boolean(s.Finished), ":failed": number(s.Failed),
			":backlog": optionalNumber(s.Backlog), ":oldestDue": text(stamp(s.OldestDue)),
			":unfinished": optionalNumber(s.Unfinished), ":oldestUnfinished": text(stamp(s.OldestUnfinished)), ":atLeast": boolean(s.AtLeast),
		})
}

// optionalNumber returns NULL for nil.
func optionalNumber(n *int) types.AttributeValue {
	if n == nil {
		return &types.AttributeValueMemberNULL{Value: true}
	}
	return number(*n)
}

func boolean(b bool) types.AttributeValue { return &types.AttributeValueMemberBOOL{Value: b} }

// LastSweep reads what the newest run of cleanup has reported, strongly consistent; the
// zero Sweep if there was none.
func (t *Table) LastSweep(ctx context.Context) (s service.Sweep, err error) {
	out, err := t.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.name, Key: sweepKey().attributes(), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return s, fmt.Errorf("table: sweep: %w", busy(err))
	}
	if len(out.Item) == 0 {
		return s, nil
	}
	i, err := decode[sweepItem](out.Item)
	if err != nil {
		return s, err
	}
	s = service.Sweep{Version: i.Version, Finished: i.Finished, Failed: i.Failed, Backlog: i.Backlog, Unfinished: i.Unfinished, AtLeast: i.AtLeast}
	err = errors.Join(read(&s.At, i.At), read(&s.OldestDue, i.OldestDue), read(&s.OldestUnfinished, i.OldestUnfinished))
	if err != nil {
		return service.Sweep{}, fmt.Errorf("%w: sweep: %w", ErrUnreadable, err)
	}
	return s, nil
}
