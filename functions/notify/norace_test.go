//go:build !race

package main

// slowdown is what the race detector costs, where it is used.
const slowdown = 1
