package rest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// mux finds the handler of a path. http.ServeMux would redirect a path with `//` or
// `..`, for which the contract has a problem.
type mux struct {
	routes []route
}

type route struct {
	pattern
	handler http.HandlerFunc
}

// pattern is a method ("" for any) and the segments of a path. A segment in braces is
// a parameter: it matches every segment that is not empty.
type pattern struct {
	method   string
	path     string
	segments []string
}

func newPattern(method, path string) pattern {
	return pattern{method: method, path: path, segments: strings.Split(path, "/")}
}

// HandleFunc adds an operation, given as "METHOD /path". huma calls it.
func (m *mux) HandleFunc(methodAndPath string, handler func(http.ResponseWriter, *http.Request)) {
	method, path, _ := strings.Cut(methodAndPath, " ")
	m.add(method, path, handler)
}

func (m *mux) add(method, path string, handler http.HandlerFunc) {
	m.routes = append(m.routes, route{pattern: newPattern(method, path), handler: handler})
}

// ServeHTTP serves a request by the most specific route that matches it, and refuses
// it when none does.
func (m *mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments := segmentsOf(r.URL)
	var best *route
	for i := range m.routes {
		found := &m.routes[i]
		if (found.method == "" || found.method == r.Method) && found.matches(segments) &&
			(best == nil || found.moreSpecific(best.pattern)) {
			best = found
		}
	}
	if best == nil {
		refuseUnknown(w, r, segments)
		return
	}
	c := callOf(r.Context())
	c.route = best.path
	for i, segment := range best.segments {
		if name, ok := parameter(segment); ok {
			r.SetPathValue(name, segments[i])
			c.logID(name, segments[i])
		}
	}
	best.handler(w, r)
}

// segmentsOf returns the decoded segments of a path. It splits before it decodes, so
// that an encoded slash stays in its segment.
func segmentsOf(u *url.URL) []string {
	segments := strings.Split(u.EscapedPath(), "/")
	for i, segment := range segments {
		if decoded, err := url.PathUnescape(segment); err == nil {
			segments[i] = decoded
		}
	}
	return segments
}

// parameter returns the name of a segment in braces.
func parameter(segment string) (name string, ok bool) {
	name, ok = strings.CutPrefix(segment, "{")
	return strings.TrimSuffix(name, "}"), ok
}

func (p pattern) matches(segments []string) bool {
	return slices.EqualFunc(p.segments, segments, func(want, got string) bool {
		if _, ok := parameter(want); ok {
			return got != ""
		}
		return want == got
	})
}

// moreSpecific reports whether p has literal text at the first segment where only one
// of the patterns has a parameter.
func (p pattern) moreSpecific(other pattern) bool {
	for i := range p.segments {
		_, wild := parameter(p.segments[i])
		_, otherWild := parameter(other.segments[i])
		if wild != otherWild {
			return otherWild
		}
	}
	return false
}
