package cloud

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"time"
)

// namespace is where CloudWatch keeps the product's metrics.
const namespace = "AgencyHub"

// Unit is what a metric is counted in.
type Unit string

// The units that are used.
const (
	Count   Unit = "Count"
	Seconds Unit = "Seconds"
)

// Metric is a number, or up to 100, that CloudWatch shall keep.
type Metric struct {
	Name   string
	Unit   Unit
	Values []float64
}

// One is a metric of one number.
func One(name string, unit Unit, value float64) Metric {
	return Metric{Name: name, Unit: unit, Values: []float64{value}}
}

// Meter writes metrics as lines of the log, from which CloudWatch takes them (its
// Embedded Metric Format): no call is made, and nothing waits.
type Meter struct {
	out   io.Writer
	stack string
	now   func() time.Time
}

// NewMeter is of the deployment that STACK_NAME names.
func NewMeter(out io.Writer, now func() time.Time) Meter {
	return Meter{out: out, stack: os.Getenv("STACK_NAME"), now: now}
}

// Record writes metrics of this deployment, each by one property with its value,
// such as a fate, where that is not "". A metric without numbers is left out. A
// line that cannot be written is only logged: what is measured has happened.
func (m Meter) Record(property, value string, metrics ...Metric) {
	type definition struct {
		Name string
		Unit Unit
	}
	dimensions := []string{"Stack"}
	line := map[string]any{"Stack": m.stack}
	if property != "" {
		dimensions, line[property] = append(dimensions, property), value
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
