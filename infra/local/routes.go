package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Route selection of an API Gateway HTTP API: the most specific path wins, by
// segments from the left (text before {variable} before {greedy+}), then the
// method itself before ANY; $default takes what is left. Segments are compared
// as they were sent, so that an encoded slash does not part a segment, and
// nothing is cleaned: `//` and a slash at the end are paths of their own.

// checkPath refuses a route path that HTTP APIs do not know.
func checkPath(path string) error {
	if path == "" {
		return nil
	}
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("%q does not begin with a slash", path)
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		if strings.HasPrefix(s, "{") != strings.HasSuffix(s, "}") {
			return fmt.Errorf("%q has half a variable", path)
		}
		if strings.HasSuffix(s, "+}") && i != len(segments)-1 {
			return fmt.Errorf("%q goes on after a greedy variable", path)
		}
	}
	return nil
}

// match finds the route for a method and an escaped path, and the decoded path
// parameters.
func match(routes []route, method, escapedPath string) (*route, map[string]string) {
	var best *route
	var bestRank []int
	for i := range routes {
		r := &routes[i]
		if r.path != "" && r.method != "ANY" && r.method != method {
			continue
		}
		rank, ok := rankPath(r.path, escapedPath)
		if !ok {
			continue
		}
		anyMethod := 0
		if r.method == "ANY" {
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
	return best, pathParameters(best.path, escapedPath)
}

// rankPath says how specific a route's path is for a request's path: a number
// for each segment, the smaller the more specific.
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
