package cloud

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"time"
)

// namespace is the namespace of the product's metrics in CloudWatch.
const namespace = "AgencyHub"

// Unit is a metric's unit, as CloudWatch names it.
type Unit string

// The units that are used.
const (
	Count   Unit = "Count"
	Seconds Unit = "Seconds"
)

// Metric is a metric with its values, of which CloudWatch accepts at most 100 a line.
type Metric struct {
	Name   string
	Unit   Unit
	Values []float64
}

// One returns a metric with one value.
func One(name string, unit Unit, value float64) Metric {
	return Metric{Name: name, Unit: unit, Values: []float64{value}}
}

// Meter writes metrics as lines of the log, from which CloudWatch reads them (its
// Embedded Metric Format). So recording makes no call.
type Meter struct {
	out   io.Writer
	stack string
	now   func() time.Time
}

// NewMeter returns a meter for the deployment that STACK_NAME names.
func NewMeter(out io.Writer, now func() time.Time) Meter {
	return Meter{out: out, stack: os.Getenv("STACK_NAME"), now: now}
}

// Record writes metrics. dimension, unless it is "", is a further dimension with its
// value, such as Fate and bounced. A metric without values is left out. An error is only
// logged, since the work that is measured has been done.
func (m Meter) Record(dimension, value string, metrics ...Metric) {
	type definition struct {
		Name string
		Unit Unit
	}
	dimensions := []string{"Stack"}
	line := map[string]any{"Stack": m.stack}
	if dimension != "" {
		dimensions, line[dimension] = append(dimensions, dimension), value
	}
	var definitions []definition
	for _, metric := range metrics {
		if len(metric.Values) > 0 {
			definitions = append(definitions, definition{metric.Name, metric.Unit})
			line[metric.Name] = metric.Values
		}
	}
	if len(definitions) == 0 {
		return
	}
	line["_aws"] = map[string]any{
		"Timestamp": m.now().UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace": namespace, "Dimensions": [][]string{dimensions}, "Metrics": definitions,
		}},
	}
	text, err := json.Marshal(line)
	if err == nil {
		_, err = m.out.Write(append(text, '\n'))
	}
	if err != nil {
		slog.Error("A metric is lost.", "error", err.Error())
	}
}
