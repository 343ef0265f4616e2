package model

import (
	"testing"

	"agencyhub/infra/prove"
)

func TestModel(t *testing.T) { Compare(t, prove.Size(t, 1000, 20_000), nil) }
