// Package linear checks histories of concurrent commands for linearizability: whatever
// people do at the same moment is as if it were done one after the other, in an order that
// fits the answers and the law.
package linear
