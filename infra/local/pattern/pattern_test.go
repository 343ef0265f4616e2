package pattern

import (
	"encoding/json"
	"testing"
)

func TestMatch(t *testing.T) {
	const insert = `{"eventName":["INSERT"],"dynamodb":{"Keys":{"sk":{"S":[{"prefix":"EVENT#"}]}}}}`
	const woken = `{"eventName":["MODIFY"],"dynamodb":{"NewImage":{"wake":{"N":[{"exists":true}]}}}}`
	for _, test := range []struct {
		filters []string
		record  string
		want    bool
	}{
		{nil, `{}`, true},
		{[]string{insert, woken}, `{"eventName":"INSERT","dynamodb":{"Keys":{"sk":{"S":"EVENT#1"}}}}`, true},
		{[]string{insert, woken}, `{"eventName":"MODIFY","dynamodb":{"Keys":{"sk":{"S":"EVENT#1"}}}}`, false},
		{[]string{insert, woken}, `{"eventName":"INSERT","dynamodb":{"Keys":{"sk":{"S":"TEAM#1"}}}}`, false},
		{[]string{insert, woken}, `{"eventName":"INSERT","dynamodb":{"Keys":{"sk":{"N":"1"}}}}`, false},
		{[]string{insert, woken}, `{"eventName":"MODIFY","dynamodb":{"NewImage":{"wake":{"N":"1"}}}}`, true},
		{[]string{insert, woken}, `{"eventName":"MODIFY","dynamodb":{"NewImage":{}}}`, false},
		{[]string{insert, woken}, `{"eventName":"REMOVE","dynamodb":{}}`, false},
		{[]string{`{"a":{"b":[{"exists":false}]}}`}, `{"a":{}}`, true},
		{[]string{`{"a":{"b":[{"exists":false}]}}`}, `{}`, true},
		{[]string{`{"a":{"b":[{"exists":false}]}}`}, `{"a":{"b":1}}`, false},
		{[]string{`{"a":[{"anything-but":["x","y"]}]}`}, `{"a":"z"}`, true},
		{[]string{`{"a":[{"anything-but":["x","y"]}]}`}, `{"a":"y"}`, false},
		{[]string{`{"a":[1,true,null,"s"]}`}, `{"a":true}`, true},
		{[]string{`{"a":[null]}`}, `{}`, false},
	} {
		var filters []json.RawMessage
		for _, f := range test.filters {
			if err := Check(json.RawMessage(f)); err != nil {
				t.Error(err)
			}
			filters = append(filters, json.RawMessage(f))
		}
		if got, err := Match(filters, json.RawMessage(test.record)); err != nil || got != test.want {
			t.Errorf("%s of %s: %v, %v", test.record, test.filters, got, err)
		}
	}
	for _, bad := range []string{`[]`, `{"a":"x"}`, `{"a":[{"suffix":"x"}]}`, `{"a":[{"prefix":1}]}`, `{"a":[{"exists":"yes"}]}`, `{"a":{"b":[{"prefix":"x","exists":true}]}}`} {
		if Check(json.RawMessage(bad)) == nil {
			t.Errorf("%s is understood", bad)
		}
	}
}
