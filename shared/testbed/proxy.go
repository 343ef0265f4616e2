package testbed

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// A Proxy passes calls on to a DynamoDB engine on this machine.
type Proxy struct {
	Engine string // its address
	// Torn reads each item of a BatchGetItem by a call of its own, in random order and
	// with pauses. As on DynamoDB, a batch is no snapshot then: other calls change items
	// between the reads.
	Torn bool
	// Table is a table's name in calls and answers. The engine knows it as TableThere.
	Table, TableThere string

	server *http.Server
	client *http.Client
}

// maxPause bounds the pause between two reads of a batch.
const maxPause = 2 * time.Millisecond

// Listen serves the proxy on a free port and returns its address.
func (p *Proxy) Listen() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	p.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = p.server.Serve(l) }() // Close ends it
	return "http://" + l.Addr().String(), nil
}

// Close stops the proxy.
func (p *Proxy) Close() error { return p.server.Close() }

// An answer is what the engine answers.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ServeHTTP passes one call on.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	body = p.rename(body, p.Table, p.TableThere)
	var a *answer
	if p.Torn && r.Header.Get("X-Amz-Target") == "DynamoDB_20120810.BatchGetItem" {
		a, err = p.readEach(r, body)
	} else {
		a, err = p.pass(r, body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway) // clients try again
		return
	}
	a.body = p.rename(a.body, p.TableThere, p.Table)
	header := w.Header()
	for name, values := range a.header {
		header[name] = values
	}
	header.Del("Content-Length")
	header.Del("X-Amz-Crc32") // of the engine's body
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client may be gone
}

// rename replaces the name of a table wherever it is a whole string.
func (p *Proxy) rename(body []byte, from, to string) []byte {
	if p.TableThere == "" {
		return body
	}
	return bytes.ReplaceAll(body, []byte(`"`+from+`"`), []byte(`"`+to+`"`))
}

// pass makes a call with this body.
func (p *Proxy) pass(r *http.Request, body []byte) (*answer, error) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, p.Engine+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = r.Header.Clone()
	res, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return &answer{res.StatusCode, res.Header, content}, err
}

// tableKeys is what a batch reads of one table: keys, and options as they came.
type tableKeys struct {
	Keys                     []json.RawMessage
	ConsistentRead           json.RawMessage `json:",omitempty"`
	ProjectionExpression     json.RawMessage `json:",omitempty"`
	ExpressionAttributeNames json.RawMessage `json:",omitempty"`
}

// batchAnswer is the answer to a BatchGetItem.
type batchAnswer struct {
	Responses       map[string][]json.RawMessage
	UnprocessedKeys map[string]*tableKeys
}

// readEach makes a BatchGetItem's reads by one call for each key. The first answer that is
// an error is the answer.
func (p *Proxy) readEach(r *http.Request, body []byte) (*answer, error) {
	var in struct{ RequestItems map[string]*tableKeys }
	if err := json.Unmarshal(body, &in); err != nil || !isSplittable(in.RequestItems) {
		return p.pass(r, body) // the engine refuses it
	}
	type read struct {
		table string
		keys  tableKeys
	}
	var reads []read
	all := batchAnswer{map[string][]json.RawMessage{}, map[string]*tableKeys{}}
	for table, keys := range in.RequestItems {
		all.Responses[table] = []json.RawMessage{}
		for _, k := range keys.Keys {
			one := read{table, *keys}
			one.keys.Keys = []json.RawMessage{k}
			reads = append(reads, one)
		}
	}
	rand.Shuffle(len(reads), func(i, j int) { reads[i], reads[j] = reads[j], reads[i] })
	var last *answer
	for i, one := range reads {
		if i > 0 {
			pause(r.Context())
		}
		part, err := json.Marshal(map[string]any{"RequestItems": map[string]any{one.table: one.keys}})
		if err != nil {
			return nil, err
		}
		if last, err = p.pass(r, part); err != nil || last.status != http.StatusOK {
			return last, err
		}
		var got batchAnswer
		if err := json.Unmarshal(last.body, &got); err != nil {
			return nil, err
		}
		all.Responses[one.table] = append(all.Responses[one.table], got.Responses[one.table]...)
		for table, keys := range got.UnprocessedKeys {
			if before := all.UnprocessedKeys[table]; before != nil {
				keys.Keys = append(before.Keys, keys.Keys...)
			}
			all.UnprocessedKeys[table] = keys
		}
	}
	content, err := json.Marshal(all)
	return &answer{http.StatusOK, last.header, content}, err
}

// isSplittable reports whether a batch is one that DynamoDB takes: it has 1 to 100 keys,
// none twice.
func isSplittable(items map[string]*tableKeys) bool {
	seen, n := map[string]bool{}, 0
	for table, keys := range items {
		for _, k := range keys.Keys {
			var key any
			if json.Unmarshal(k, &key) != nil {
				return false
			}
			sorted, err := json.Marshal([]any{table, key})
			if err != nil || seen[string(sorted)] {
				return false
			}
			seen[string(sorted)] = true
			n++
		}
	}
	return n > 0 && n <= 100
}

// pause waits up to maxPause.
func pause(ctx context.Context) {
	select {
	case <-time.After(rand.N(maxPause)):
	case <-ctx.Done():
	}
}
