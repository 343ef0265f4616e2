package service_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"testing"
)

var callField = regexp.MustCompile(`^["` + "`" + `](body|query|path|header)(\.|["` + "`" + `]$)`)

// Errors name the fields of a use case's input. Only shared/rest knows where an HTTP
// call has them.
func TestFieldsAreNotPlacesInACall(t *testing.T) {
	files, err := filepath.Glob("../*/*.go")
	noError(t, err)
	seen := 0
	for _, path := range files {
		if room := filepath.Base(filepath.Dir(path)); room != "agency" && room != "service" {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		noError(t, err)
		seen++
		for n := range ast.Preorder(file) {
			if literal, ok := n.(*ast.BasicLit); ok && callField.MatchString(literal.Value) {
				t.Errorf("%s: %s is a place in an HTTP call", set.Position(literal.Pos()), literal.Value)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d files were found", seen)
	}
}
