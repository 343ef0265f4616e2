// Package alarms walks through the alarms of the template and the runbook of
// infra/README.md on a local stack: it brings the cause of each about, reads the metric
// in the logs as CloudWatch does, does what the runbook says, and sees the alarm fall.
package alarms

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"agencyhub/shared/outbox"
)

var root = filepath.Join("..", "..", "..")

// A metric is a metric of CloudWatch: its namespace, its name, and its dimensions but
// for the stack's or the API's id, which differ by deployment.
type metric struct{ namespace, name, dimensions string }

func newMetric(namespace, name string, dimensions map[string]string) metric {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(dimensions)) {
		text := key
		if key == "Fate" {
			text += "=" + dimensions[key]
		}
		all = append(all, text)
	}
	return metric{namespace, name, strings.Join(all, ",")}
}

// own is the namespace of the metrics that the functions write.
const own = "AgencyHub"

// An alarm is one of the template. of is its metric of the product's own, if it has one.
type alarm struct {
	of        *metric
	statistic string
	// isOver compares the statistic with the threshold.
	isOver func(n float64) bool
}

// comparisons are those of alarms, by their names.
var comparisons = map[string]func(n, threshold float64) bool{
	"GreaterThanThreshold":          func(n, threshold float64) bool { return n > threshold },
	"GreaterThanOrEqualToThreshold": func(n, threshold float64) bool { return n >= threshold },
	"LessThanThreshold":             func(n, threshold float64) bool { return n < threshold },
	"LessThanOrEqualToThreshold":    func(n, threshold float64) bool { return n <= threshold },
}

type dimension struct{ Name, Value string }

type stat struct {
	Stat   string
	Metric struct {
		Namespace, MetricName string
		Dimensions            []dimension
	}
}

// stat reads the keys as the template writes them.
func (s *stat) UnmarshalYAML(n *yaml.Node) error {
	var raw struct {
		Stat   string `yaml:"Stat"`
		Metric struct {
			Namespace  string      `yaml:"Namespace"`
			MetricName string      `yaml:"MetricName"`
			Dimensions []yaml.Node `yaml:"Dimensions"`
		} `yaml:"Metric"`
	}
	if err := n.Decode(&raw); err != nil {
		return err
	}
	s.Stat, s.Metric.Namespace, s.Metric.MetricName = raw.Stat, raw.Metric.Namespace, raw.Metric.MetricName
	var err error
	s.Metric.Dimensions, err = readDimensions(raw.Metric.Dimensions)
	return err
}

func readDimensions(nodes []yaml.Node) (all []dimension, err error) {
	for _, n := range nodes {
		var d struct {
			Name  string    `yaml:"Name"`
			Value yaml.Node `yaml:"Value"`
		}
		if err := n.Decode(&d); err != nil {
			return nil, err
		}
		all = append(all, dimension{d.Name, d.Value.Value})
	}
	return all, nil
}

// A templateFile is what is read of template.yaml.
type templateFile struct {
	alarms map[string]alarm
	// dashboard are the metrics that the dashboard shows.
	dashboard []metric
}

func readTemplate(t *testing.T) templateFile {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var raw struct {
		Resources map[string]struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(content, &raw); err != nil {
		t.Fatal(err)
	}
	out := templateFile{alarms: map[string]alarm{}}
	for name, resource := range raw.Resources {
		switch resource.Type {
		case "AWS::CloudWatch::Alarm":
			out.alarms[name] = readAlarm(t, name, &resource.Properties)
		case "AWS::CloudWatch::Dashboard":
			out.dashboard = readDashboard(t, &resource.Properties)
		}
	}
	if len(out.alarms) < 10 || len(out.dashboard) < 10 {
		t.Fatalf("%d alarms, %d metrics on the dashboard", len(out.alarms), len(out.dashboard))
	}
	return out
}

func readAlarm(t *testing.T, name string, n *yaml.Node) alarm {
	t.Helper()
	var raw struct {
		Namespace         string      `yaml:"Namespace"`
		MetricName        string      `yaml:"MetricName"`
		Dimensions        []yaml.Node `yaml:"Dimensions"`
		Statistic         string      `yaml:"Statistic"`
		ExtendedStatistic string      `yaml:"ExtendedStatistic"`
		Threshold         float64     `yaml:"Threshold"`
		Comparison        string      `yaml:"ComparisonOperator"`
		Metrics           []struct {
			MetricStat *stat `yaml:"MetricStat"`
		} `yaml:"Metrics"`
	}
	if err := n.Decode(&raw); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	dimensions, err := readDimensions(raw.Dimensions)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	one := stat{Stat: raw.Statistic + raw.ExtendedStatistic}
	one.Metric.Namespace, one.Metric.MetricName, one.Metric.Dimensions = raw.Namespace, raw.MetricName, dimensions
	compare, ok := comparisons[raw.Comparison]
	if !ok {
		t.Fatalf("%s: the comparison %q is not known here", name, raw.Comparison)
	}
	a := alarm{isOver: func(n float64) bool { return compare(n, raw.Threshold) }}
	for _, s := range append([]stat{one}, statsOf(raw.Metrics)...) {
		if s.Metric.Namespace != own {
			continue
		}
		if a.of != nil {
			t.Fatalf("%s has two metrics of the product's own", name)
		}
		by := map[string]string{}
		for _, d := range s.Metric.Dimensions {
			by[d.Name] = d.Value
		}
		of := newMetric(own, s.Metric.MetricName, by)
		a.of, a.statistic = &of, s.Stat
	}
	return a
}

func statsOf(metrics []struct {
	MetricStat *stat `yaml:"MetricStat"`
}) (all []stat) {
	for _, m := range metrics {
		if m.MetricStat != nil {
			all = append(all, *m.MetricStat)
		}
	}
	return all
}

var substitution = regexp.MustCompile(`\$\{[^}]*\}`)

// readDashboard reads the metrics of the dashboard. In its lists "." stands for the same
// text as in the list before, and "..." for all of them but the last.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
func readDashboard(t *testing.T, n *yaml.Node) (all []metric) {
	t.Helper()
	var raw struct {
		DashboardBody string `yaml:"DashboardBody"`
	}
	if err := n.Decode(&raw); err != nil {
		t.Fatal(err)
	}
	var body struct {
		Widgets []struct{ Properties struct{ Metrics [][]any } }
	}
	if err := json.Unmarshal([]byte(substitution.ReplaceAllString(raw.DashboardBody, "x")), &body); err != nil {
		t.Fatal(err)
	}
	for _, widget := range body.Widgets {
		var before []string
		for _, line := range widget.Properties.Metrics {
			var words []string
			for _, part := range line {
				if text, ok := part.(string); ok {
					words = append(words, text)
				}
			}
			if words[0] == "..." {
				words = append(slices.Clone(before[:len(before)-len(words)+1]), words[1:]...)
			}
			for i, word := range words {
				if word == "." {
					words[i] = before[i]
				}
			}
			by := map[string]string{}
			for i := 2; i+1 < len(words); i += 2 {
				by[words[i]] = words[i+1]
			}
			all, before = append(all, newMetric(words[0], words[1], by)), words
		}
	}
	return all
}

// Every alarm has a row, and every row that names an alarm of the product's own brings it
// about: a metric of another namespace is AWS's.
func TestEveryAlarmHasARow(t *testing.T) {
	all := readTemplate(t).alarms
	for name := range rows {
		if _, ok := all[name]; !ok {
			t.Errorf("the row of %s is of no alarm", name)
		}
	}
	for name, a := range all {
		r, ok := rows[name]
		switch {
		case !ok:
			t.Errorf("the alarm %s has no row: say how it is brought about, or why it can't be", name)
		case r.brought == "" && r.reason == "":
			t.Errorf("the row of %s says nothing", name)
		case a.of != nil && r.brought == "":
			t.Errorf("%s is of a metric of our own, so it can be brought about", name)
		}
	}
}

// infra/README.md says of every alarm what to do, and of no other.
func TestTheRunbookNamesEveryAlarm(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "infra", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(content), "\n## Alarms\n")
	section, _, found2 := strings.Cut(rest, "\n## ")
	if !found || !found2 {
		t.Fatal("there is no section on alarms")
	}
	named := map[string]bool{}
	for line := range strings.Lines(section) {
		if first, _, ok := strings.Cut(strings.TrimPrefix(line, "|"), "|"); ok && strings.HasPrefix(line, "|") {
			for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(first, -1) {
				named[name[1]] = true
			}
		}
	}
	all := readTemplate(t).alarms
	for name := range all {
		if !named[name] {
			t.Errorf("infra/README.md does not say what to do about %s", name)
		}
	}
	for name := range named {
		if _, ok := all[name]; !ok {
			t.Errorf("infra/README.md names %s, which is no alarm", name)
		}
	}
}

// The dashboard shows every fate of an email, and no other.
func TestTheDashboardShowsEveryFate(t *testing.T) {
	var got, want []string
	for _, m := range readTemplate(t).dashboard {
		if m.name == "Mails" {
			got = append(got, m.dimensions)
		}
	}
	for _, fate := range outbox.Fates {
		if fate != outbox.Waiting {
			want = append(want, fmt.Sprintf("Fate=%s,Stack", fate))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the dashboard shows %q, want %q", got, want)
	}
}
