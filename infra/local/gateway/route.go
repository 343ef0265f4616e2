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
	var bestParameters map[string]string
	for i := range routes {
		r := &routes[i]
		if r.Path != "" && r.Method != "ANY" && r.Method != method {
			continue
		}
		rank, parameters := matchPath(r.Path, escapedPath)
		if rank == nil {
			continue
		}
		anyMethod := 0
		if r.Method == "ANY" {
			anyMethod = 1
		}
		rank = append(rank, anyMethod)
		if best == nil || slices.Compare(rank, bestRank) < 0 {
			best, bestRank, bestParameters = r, rank, parameters
		}
	}
	return best, bestParameters
}

// matchPath returns how specific a route's path is for a request's path, a number for
// each segment, smaller for more specific, and the decoded path parameters. The rank is
// nil where the path does not match.
func matchPath(pattern, path string) (rank []int, parameters map[string]string) {
	const literal, variable, greedy, fallback = 0, 1, 2, 3
	parameters = map[string]string{}
	if pattern == "" {
		return []int{fallback}, parameters
	}
	want, got := strings.Split(pattern, "/")[1:], strings.Split(path, "/")[1:]
	for i, w := range want {
		if i >= len(got) {
			return nil, nil
		}
		rest, segment := strings.Join(got[i:], "/"), unescaped(got[i], url.PathUnescape)
		switch {
		case strings.HasSuffix(w, "+}") && rest != "":
			parameters[w[1:len(w)-2]] = unescaped(rest, url.PathUnescape)
			return append(rank, greedy), parameters
		case strings.HasPrefix(w, "{") && !strings.HasSuffix(w, "+}") && segment != "":
			parameters[w[1:len(w)-1]] = segment
			rank = append(rank, variable)
		case segment == w:
			rank = append(rank, literal)
		default:
			return nil, nil
		}
	}
	if len(want) != len(got) {
		return nil, nil
	}
	return rank, parameters
}
