// Package layers holds the rule of this module's architecture and a test of it.
//
// The four folders are four layers, and imports run one way:
//
//	cmd → bot → commands → audit
//
// Every package is named in the table of this package's test with what it may
// import: inside the module, and from other modules. A package that is not in the
// table fails the test, so that nobody adds one without saying where it stands;
// a row that would climb fails it too. The idea is that of Go's own
// go/build/deps_test.go.
package layers
