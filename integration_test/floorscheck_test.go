package integration_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// checker reads the Go files of a tree and notes what they do that their
// floor doesn't allow. It parses the files itself: the go command would answer
// from its cache, and skip what the current platform doesn't build.
type checker struct {
	floors map[string]floor
	fset   *token.FileSet
	found  []string
}

// check returns the violations in a tree and the packages seen, sorted.
func check(tree fs.FS, floors map[string]floor) (found, packages []string) {
	c := &checker{floors: floors, fset: token.NewFileSet()}
	library := map[string][]*ast.File{} // by package, without tests and generated code
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); name != "." && (base == "testdata" || base == "bin" || strings.ContainsAny(base[:1], "._")) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		dir := path.Dir(name)
		if !slices.Contains(packages, dir) {
			packages = append(packages, dir)
		}
		if file := c.file(tree, name, dir); file != nil && !ast.IsGenerated(file) && !strings.HasSuffix(name, "_test.go") {
			library[dir] = append(library[dir], file)
		}
		return nil
	})
	if err != nil {
		c.found = append(c.found, err.Error())
	}
	for dir, files := range library {
		if c.floors[dir].pure {
			c.globals(files)
		}
	}
	slices.Sort(c.found)
	slices.Sort(packages)
	return c.found, packages
}

// file checks one file and returns its syntax; nil if it has none, or is free
// to do what it wants.
func (c *checker) file(tree fs.FS, name, dir string) *ast.File {
	if isFree(dir) {
		return nil
	}
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		c.found = append(c.found, err.Error())
		return nil
	}
	file, err := parser.ParseFile(c.fset, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		c.found = append(c.found, err.Error())
		return nil
	}
	f, ok := c.floors[dir]
	if !ok {
		c.report(file, "package %s has no floor: see the table in floors_test.go", dir)
		return nil
	}
	test := strings.HasSuffix(name, "_test.go")
	names := c.imports(file, f, dir, test)
	if !test && !ast.IsGenerated(file) {
		c.statements(file, f, names)
	}
	return file
}

func (c *checker) report(at ast.Node, format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf("%s: %s", c.fset.Position(at.Pos()), fmt.Sprintf(format, args...)))
}

// impureImports are the standard packages that a pure floor does without.
var impureImports = []string{"log", "log/slog", "net", "net/http", "os/exec", "os/signal", "math/rand", "unsafe"}

// imports checks what a file imports and returns the import paths by the
// names they have in it.
func (c *checker) imports(file *ast.File, f floor, dir string, test bool) map[string]string {
	names := map[string]string{}
	for _, spec := range file.Imports {
		dep, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(dep)
		if name == "v2" {
			name = path.Base(path.Dir(dep))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = dep
		first, _, _ := strings.Cut(dep, "/")
		switch {
		case dep == "C":
			if !f.cgo && !test {
				c.report(spec, "%s may not hold C", dir)
			}
		case within(dep, module):
			rel := "."
			if dep != module {
				rel = strings.TrimPrefix(dep, module+"/")
			}
			if !c.mayImport(f, dir, rel, test) {
				c.report(spec, "%s may not import %s", dir, rel)
			}
		case strings.Contains(first, "."):
			known := slices.ContainsFunc(f.thirdParty, func(allowed string) bool { return within(dep, allowed) })
			if !known && !test {
				c.report(spec, "%s may not import %s", dir, dep)
			}
		default:
			if f.pure && !test && slices.Contains(impureImports, dep) && !ast.IsGenerated(file) {
				c.report(spec, "%s is pure and may not import %s", dir, dep)
			}
		}
	}
	return names
}

// mayImport decides imports within the module. Tests may import what their
// package may, their package, test support and integration's links; and an
// adapter's tests anything below. What is tested without C or a network stays
// without.
func (c *checker) mayImport(f floor, dir, dep string, test bool) bool {
	if slices.Contains(f.imports, dep) {
		return true
	}
	if !test {
		return false
	}
	below, ok := c.floors[dep]
	adapter := ok && !below.test && below.level == c.floors["p2p"].level
	switch {
	case dep == dir || below.test:
		return true
	case adapter:
		return dir == "." || f.test
	case !ok:
		return within(dep, "integration_test") && f.level >= c.floors["p2p"].level
	default:
		return below.level <= f.level
	}
}

// clock are the names of package time that read or wait for the clock.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// seeded are the names of package math/rand/v2 that don't use its global
// source.
var seeded = []string{"New", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "PCG", "ChaCha8", "Source", "Zipf"}

// statements checks what the code of a file does.
func (c *checker) statements(file *ast.File, f floor, names map[string]string) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if !f.goroutines {
				c.report(n, "starts a goroutine")
			}
		case *ast.CallExpr:
			c.call(n, f, names)
		case *ast.SelectorExpr:
			c.selector(n, f, names)
		case *ast.FuncDecl:
			if f.pure && n.Recv == nil && n.Name.Name == "init" {
				c.report(n, "a pure package has no init")
			}
		}
		return true
	})
}

func (c *checker) call(n *ast.CallExpr, f floor, names map[string]string) {
	switch fun := n.Fun.(type) {
	case *ast.Ident:
		if f.pure && fun.Name == "panic" {
			c.report(n, "panics")
		}
	case *ast.SelectorExpr:
		method := fun.Sel.Name
		from := importOf(fun, names)
		timer := method == "AfterFunc" && (from == "time" || from == "context")
		if !f.goroutines && !f.pure && timer || !f.goroutines && method == "Go" {
			c.report(n, "starts a goroutine")
		}
	}
}

func (c *checker) selector(n *ast.SelectorExpr, f floor, names map[string]string) {
	if !f.pure {
		return
	}
	switch importOf(n, names) {
	case "time":
		if slices.Contains(clock, n.Sel.Name) {
			c.report(n, "reads the clock: time.%s", n.Sel.Name)
		}
	case "math/rand/v2":
		if !slices.Contains(seeded, n.Sel.Name) {
			c.report(n, "uses the global random source: rand.%s", n.Sel.Name)
		}
	}
}

// importOf returns the import path that n selects from; empty if from none.
func importOf(n *ast.SelectorExpr, names map[string]string) string {
	if id, ok := n.X.(*ast.Ident); ok {
		return names[id.Name]
	}
	return ""
}

// globals reports assignments to variables of the package. Imports aren't
// resolved and type errors don't matter: whose an identifier is can be told
// without.
func (c *checker) globals(files []*ast.File) {
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: noImporter{}, FakeImportC: true, Error: func(error) {}}
	pkg, _ := conf.Check("p", c.fset, files, info)
	assigned := func(lhs ast.Expr) {
		id := rootOf(lhs)
		if id == nil {
			return
		}
		if v, ok := info.Uses[id].(*types.Var); ok && v.Parent() == pkg.Scope() {
			c.report(lhs, "changes the global %s", v.Name())
		}
	}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, lhs := range n.Lhs {
					assigned(lhs)
				}
			case *ast.IncDecStmt:
				assigned(n.X)
			case *ast.RangeStmt:
				assigned(n.Key)
				assigned(n.Value)
			}
			return true
		})
	}
}

// rootOf returns the variable that an assignable expression is a part of; nil
// if there is none.
func rootOf(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.Ident:
		return e
	case *ast.IndexExpr:
		return rootOf(e.X)
	case *ast.SelectorExpr:
		return rootOf(e.X)
	case *ast.StarExpr:
		return rootOf(e.X)
	case *ast.ParenExpr:
		return rootOf(e.X)
	default:
		return nil
	}
}

// noImporter finds no package.
type noImporter struct{}

func (noImporter) Import(path string) (*types.Package, error) {
	return nil, fmt.Errorf("package %s is not resolved", path)
}
