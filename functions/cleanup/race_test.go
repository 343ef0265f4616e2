//go:build race

package main

// raceDetector slows every call down several times.
const raceDetector = true
