package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"agencyhub/shared/agency"
)

// The packages whose code can refuse a call, besides the functions themselves.
const (
	lawPackage  = "agencyhub/shared/agency"
	usePackage  = "agencyhub/shared/service"
	restPackage = "agencyhub/shared/rest"
)

// refusals reads from the source which codes each operation can answer with besides
// always: what the doc comments of the use cases that its handler
// names say after "Errors:". A use case that does not say so is an error, and so is a
// code that no function names to which the use case leads. The keys are routes such as
// "GET /v1/me".
func refusals(ctx context.Context, root string) (map[string][]string, error) {
	s, err := loadSource(ctx, root)
	if err != nil {
		return nil, err
	}
	for _, path := range s.order {
		if err := s.read(path); err != nil {
			return nil, err
		}
	}
	refused := map[string][]string{}
	var wrong []error
	for route, handlers := range s.routes {
		found := map[string]bool{}
		for name := range s.reachable(handlers, func(name string) bool { return !strings.HasPrefix(name, useCase) }) {
			method, ok := strings.CutPrefix(name, useCase)
			if !ok || !ast.IsExported(method) || !s.decides[method] {
				continue
			}
			codes, err := s.errorsOf(method)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("%s: %w", route, err))
			}
			for _, code := range codes {
				found[code] = true
			}
		}
		refused[route] = slices.Sorted(maps.Keys(found))
	}
	return refused, errors.Join(wrong...)
}

// useCase begins the name of a use case.
const useCase = "(*" + usePackage + ".Service)."

// always are the codes that every operation can answer with.
var always = map[string]bool{
	string(agency.Invalid): true, string(agency.Unauthenticated): true, string(agency.Unavailable): true, string(agency.Internal): true,
}

var (
	errorsSentence = regexp.MustCompile(`(?s)\bErrors:\s(.*)`)
	sameErrors     = regexp.MustCompile(`\bas\s+([A-Z]\w+)'s`)
	lessErrors     = regexp.MustCompile(`\bbut\s+for\s+([A-Z]\w+)`)
	word           = regexp.MustCompile(`[A-Z]\w+`)
)

// errorsOf returns the codes that the doc comment of a use case names after "Errors:".
// "as X's" stands for those of the use case X, "but for Y" takes one away, and
// "Errors: none" is for a use case that refuses nobody.
func (s *source) errorsOf(method string) ([]string, error) {
	found := errorsSentence.FindStringSubmatch(s.docs[useCase+method])
	if found == nil {
		return nil, fmt.Errorf("the doc comment of %s does not say Errors: …", method)
	}
	sentence := found[1]
	var codes []string
	for _, other := range sameErrors.FindAllStringSubmatch(sentence, -1) {
		more, err := s.errorsOf(other[1])
		if err != nil {
			return nil, err
		}
		codes = append(codes, more...)
	}
	possible := map[string]bool{}
	for name := range s.reachable([]string{useCase + method}, nil) {
		for _, code := range s.codes[name] {
			possible[code] = true
		}
	}
	for _, name := range word.FindAllString(sentence, -1) {
		code, ok := s.named[name]
		switch {
		case !ok || always[code]:
		case !possible[code]:
			return nil, fmt.Errorf("the doc comment of %s names %s, which nothing in it does", method, name)
		default:
			codes = append(codes, code)
		}
	}
	for _, less := range lessErrors.FindAllStringSubmatch(sentence, -1) {
		codes = slices.DeleteFunc(codes, func(code string) bool { return code == s.named[less[1]] })
	}
	return codes, nil
}

// source is the source of the packages that refuse, as a graph of functions.
type source struct {
	order    []string            // the packages to read
	files    map[string][]string // of each of them
	exported map[string]string   // the compiled export data of every package
	imports  types.Importer
	set      *token.FileSet

	uses    map[string][]string // by a function's name, the functions and variables that it names
	codes   map[string][]string // by a function's name, the codes that it names
	docs    map[string]string   // by a function's name, its doc comment
	decides map[string]bool     // the use cases that return an error
	routes  map[string][]string // by a route, the functions that its handler names
	named   map[string]string   // codes, by the names of their constants
}

func loadSource(ctx context.Context, root string) (*source, error) {
	out, err := command(ctx, root, "go", "list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Export,Imports", "./functions/...")
	if err != nil {
		return nil, err
	}
	s := &source{
		files: map[string][]string{}, exported: map[string]string{}, set: token.NewFileSet(),
		uses: map[string][]string{}, codes: map[string][]string{}, docs: map[string]string{},
		decides: map[string]bool{}, routes: map[string][]string{}, named: map[string]string{},
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir, Export string
			GoFiles, Imports        []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		s.exported[p.ImportPath] = p.Export
		if p.ImportPath != lawPackage && p.ImportPath != usePackage && !slices.Contains(p.Imports, restPackage) {
			continue
		}
		s.order = append(s.order, p.ImportPath)
		for _, name := range p.GoFiles {
			s.files[p.ImportPath] = append(s.files[p.ImportPath], filepath.Join(p.Dir, name))
		}
	}
	s.imports = importer.ForCompiler(s.set, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(s.exported[path])
	})
	return s, nil
}

// read adds the functions, variables and routes of a package.
func (s *source) read(path string) error {
	var files []*ast.File
	for _, name := range s.files[path] {
		file, err := parser.ParseFile(s.set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	if _, err := (&types.Config{Importer: s.imports}).Check(path, s.set, files, info); err != nil {
		return fmt.Errorf("cannot read the refusals of %s: %w", path, err)
	}
	for _, object := range info.Defs {
		if c, ok := object.(*types.Const); ok && isCode(c) {
			s.named[c.Name()] = constant.StringVal(c.Val())
		}
	}
	for _, file := range files {
		for _, decl := range file.Decls {
			s.declaration(info, decl)
			s.handled(info, decl)
		}
	}
	return nil
}

// declaration adds what a function, or each variable of a declaration, names.
func (s *source) declaration(info *types.Info, decl ast.Decl) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		object := info.Defs[decl.Name]
		name := nameOf(object)
		s.uses[name], s.codes[name] = named(info, decl)
		s.docs[name] = decl.Doc.Text()
		if method, ok := strings.CutPrefix(name, useCase); ok {
			results := object.Type().(*types.Signature).Results()
			s.decides[method] = results.Len() > 0 && results.At(results.Len()-1).Type().String() == "error"
		}
	case *ast.GenDecl:
		if decl.Tok != token.VAR {
			return
		}
		for _, spec := range decl.Specs {
			uses, codes := named(info, spec)
			for _, ident := range spec.(*ast.ValueSpec).Names {
				name := nameOf(info.Defs[ident])
				s.uses[name], s.codes[name] = uses, codes
			}
		}
	}
}

// handled adds the routes for which a function calls rest.Handle or HandlePlatform.
func (s *source) handled(info *types.Info, decl ast.Decl) {
	ast.Inspect(decl, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		callee, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || info.Uses[callee.Sel] == nil {
			return true
		}
		if name := nameOf(info.Uses[callee.Sel]); name != restPackage+".Handle" && name != restPackage+".HandlePlatform" {
			return true
		}
		if route, ok := call.Args[1].(*ast.BasicLit); ok {
			s.routes[strings.Trim(route.Value, `"`)], _ = named(info, call.Args[3])
		}
		return true
	})
}

// named returns the functions and package variables that a piece of source names, and
// the codes, but for those that it only compares with.
func named(info *types.Info, node ast.Node) (uses, codes []string) {
	compared := map[ast.Expr]bool{}
	code := func(n ast.Expr) {
		switch n := n.(type) {
		case *ast.Ident:
			compared[n] = true
		case *ast.SelectorExpr:
			compared[n.Sel] = true
		}
	}
	ast.Inspect(node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			code(n.X)
			code(n.Y)
		case *ast.CaseClause:
			for _, e := range n.List {
				code(e)
			}
		case *ast.Ident:
			switch object := info.Uses[n].(type) {
			case *types.Func:
				uses = append(uses, nameOf(object))
			case *types.Var:
				if object.Pkg() != nil && object.Parent() == object.Pkg().Scope() {
					uses = append(uses, nameOf(object))
				}
			case *types.Const:
				if isCode(object) && !compared[n] {
					codes = append(codes, constant.StringVal(object.Val()))
				}
			}
		}
		return true
	})
	return uses, codes
}

func isCode(c *types.Const) bool {
	named, ok := types.Unalias(c.Type()).(*types.Named)
	return ok && named.Obj().Name() == "Code" && named.Obj().Pkg().Path() == lawPackage
}

// nameOf returns a name that is the same whether a package was read from its source or
// from its export data.
func nameOf(object types.Object) string {
	if f, ok := object.(*types.Func); ok {
		return f.Origin().FullName()
	}
	return object.Pkg().Path() + "." + object.Name()
}

// reachable returns the names that these lead to, themselves among them. What a name
// leads to is left out where through is given and says no.
func (s *source) reachable(names []string, through func(name string) bool) map[string]bool {
	found := map[string]bool{}
	for queue := slices.Clone(names); len(queue) > 0; queue = queue[1:] {
		if name := queue[0]; !found[name] {
			found[name] = true
			if through == nil || through(name) {
				queue = append(queue, s.uses[name]...)
			}
		}
	}
	return found
}
