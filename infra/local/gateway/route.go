package gateway

import (
	"net/url"
	"slices"
	"strings"

	"agencyhub/infra/local/template"
)

// Route selection of an HTTP API: the most specific path wins, by segments from the
// left (text before {variable} before {greedy+}), then the method itself before ANY.
// $default takes the rest. Segments are compared as they were sent: an encoded slash
// does not end a segment, and nothing is cleaned, so that `//` and a slash at the end
// are paths of their own.

// match returns the route for a method and an escaped path, and the decoded path
// parameters. Without a route it returns nil.
func match(routes []template.Route, method, escapedPath string) (*template.Route, map[string]string) {
	var best *template.Route
	var bestRank []int
	for i := range routes {
		r := &routes[i]
		if r.Path != "" && r.Method != "ANY" && r.Method != method {
			continue
		}
		rank, ok := rankPath(r.Path, escapedPath)
		if !ok {
			continue
		}
		anyMethod := 0
		if r.Method == "ANY" {
			anyMethod = 1
		}
		rank = append(rank, anyMethod)
		if best == nil || slices.Compare(rank, bestRank) < 0 {
			best, bestRank = r, rank
		}
	}
	if best == nil {
		return nil, nil
	}
	return best, pathParameters(best.Path, escapedPath)
}

// rankPath returns how specific a route's path is for a request's path, a number for
// each segment, smaller for more specific. It reports whether the path matches.
func rankPath(pattern, path string) ([]int, bool) {
	const literal, variable, greedy, fallback = 0, 1, 2, 3
	if pattern == "" {
		return []int{fallback}, true
	}
	want, got := strings.Split(pattern, "/")[1:], strings.Split(path, "/")[1:]
	var rank []int
	for i, w := range want {
		switch {
		case i >= len(got):
			return nil, false
		case strings.HasSuffix(w, "+}"):
			if strings.Join(got[i:], "/") == "" {
				return nil, false
			}
			return append(rank, greedy), true
		case strings.HasPrefix(w, "{"):
			if got[i] == "" {
				return nil, false
			}
			rank = append(rank, variable)
		case decoded(got[i]) == w:
			rank = append(rank, literal)
		default:
			return nil, false
		}
	}
	return rank, len(want) == len(got)
}

func pathParameters(pattern, path string) map[string]string {
	out := map[string]string{}
	if pattern == "" {
		return out
	}
	got := strings.Split(path, "/")[1:]
	for i, w := range strings.Split(pattern, "/")[1:] {
		switch {
		case strings.HasSuffix(w, "+}"):
			out[w[1:len(w)-2]] = decoded(strings.Join(got[i:], "/"))
		case strings.HasPrefix(w, "{"):
			out[w[1:len(w)-1]] = decoded(got[i])
		}
	}
	return out
}

func decoded(segment string) string {
	if s, err := url.PathUnescape(segment); err == nil {
		return s
	}
	return segment
}
