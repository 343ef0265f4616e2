// Package words holds names and comments to the vocabulary of the project, which
// .github/CONTRIBUTING.md describes. Texts that users read are not checked here.
package words

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// names are words that no identifier may contain, in camel case or alone.
var names = regexp.MustCompile(`(^|[a-z0-9_])(House|Paper|Twin|Dresser|Telling|Tellings|Teller|Standing|Carry|Carries|Carried|Carrying|Tick|Ticks|Ticked|Begun|Remember|Patiently|Whom|Whoever|Hub)([A-Z0-9_]|$)|` +
	`^(house|paper|twin|dresser|telling|tellings|teller|standing|carry|carries|carried|carrying|tick|ticks|ticked|begun|remember|patiently|whom|whoever|hub)([A-Z0-9_]|$)|` +
	`(^|[a-z0-9])(most|Most)[A-Z]`)

// allowed are identifiers that name the product or what it deploys.
var allowed = regexp.MustCompile(`^(HubTable|AgencyHub)`)

// phrases are words that no comment may contain.
var phrases = regexp.MustCompile(`(?i)\b(tells whether|whom|whoever|whomever|shall|anew|thereof|so far as|hold(s|ing)? off|held off|let(s|ting)? in|gets? in|for good|says? yes|paper|house|twin|dresser|tellings?|teller|standing|carr(y|ies|ied|ying)|tick(s|ed)?|begun|remembers?|patiently)\b|(?m)^\s*(//|#)\s*\w+ (tells|answers) `)

func TestWords(t *testing.T) {
	root := filepath.Join("..", "..")
	checked := map[string]bool{} // identifiers, each once
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "node_modules" || name == "testdata" || name == "words" || name == "out" || len(name) > 2 && name[0] == '.' {
				return filepath.SkipDir
			}
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, root+"/")
		switch ext := filepath.Ext(path); {
		case ext == ".go":
			checkGo(t, name, text, checked)
		case ext == ".html" || ext == ".tmpl":
			check(t, name, names, variable.FindAllString(strings.Join(action.FindAllString(string(text), -1), " "), -1))
		case ext == ".yaml" || ext == ".yml" || ext == ".sh" || d.Name() == "Makefile":
			check(t, name, phrases, hash.FindAllString(string(text), -1))
		case ext == ".mjs" || ext == ".js" || ext == ".css":
			check(t, name, phrases, slash.FindAllString(string(text), -1))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	action   = regexp.MustCompile(`{{[^}]*}}`)
	variable = regexp.MustCompile(`[.$]\w+`)
	hash     = regexp.MustCompile(`(?m)(^|\s)#.*$`)
	slash    = regexp.MustCompile(`(?s)/\*.*?\*/|(?m)(^|\s)//.*$`)
)

func checkGo(t *testing.T, name string, text []byte, checked map[string]bool) {
	t.Helper()
	var s scanner.Scanner
	files := token.NewFileSet()
	s.Init(files.AddFile(name, -1, len(text)), text, nil, scanner.ScanComments)
	for {
		pos, tok, lit := s.Scan()
		at := files.Position(pos).String()
		switch tok {
		case token.EOF:
			return
		case token.IDENT:
			if !checked[lit] && !allowed.MatchString(lit) {
				checked[lit] = true
				check(t, at, names, []string{lit})
			}
		case token.COMMENT:
			check(t, at, phrases, []string{lit})
		default:
		}
	}
}

func check(t *testing.T, at string, banned *regexp.Regexp, found []string) {
	t.Helper()
	for _, text := range found {
		if word := banned.FindString(strings.TrimLeft(text, ".$")); word != "" {
			t.Errorf("%s: %q in %.80q", at, strings.TrimSpace(word), text)
		}
	}
}
