package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// Accent is the colour of links and buttons on white, in pages and emails: "#" and six
// hexadecimal digits.
type Accent string

var accentForm = regexp.MustCompile(`^#[0-9a-f]{6}$`)

// minContrast is the lowest contrast of readable text with its background (WCAG 2.2, AA).
const minContrast = 4.5

// dark is the brightest background of the dark scheme.
const dark Accent = "#253048"

func readAccent(raw json.RawMessage) (Accent, error) {
	var a Accent
	if decode(raw, &a) != nil || !accentForm.MatchString(string(a)) || a.contrast("#f3f5f9") < minContrast {
		return "", errors.New("must be a colour such as \"#2456c8\", dark enough to be read on white")
	}
	return a, nil
}

// InTheDark returns the colour for dark backgrounds, mixed with as much white as it needs
// to be readable.
func (a Accent) InTheDark() Accent {
	c := a.channels()
	for white := 0.0; ; white += 0.05 {
		var mixed [3]uint8
		for i := range c {
			mixed[i] = uint8(math.Round(float64(c[i]) + (255-float64(c[i]))*min(white, 1)))
		}
		lighter := Accent(fmt.Sprintf("#%02x%02x%02x", mixed[0], mixed[1], mixed[2]))
		if lighter.contrast(dark) >= minContrast+1 || white >= 1 {
			return lighter
		}
	}
}

func (a Accent) channels() [3]uint8 {
	n, err := strconv.ParseUint(string(a[1:]), 16, 32)
	if err != nil {
		panic(err) // readAccent checked the form
	}
	return [3]uint8{uint8(n >> 16), uint8(n >> 8), uint8(n)}
}

// contrast returns the ratio of two colours' luminances by WCAG, from 1 to 21.
func (a Accent) contrast(b Accent) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func (a Accent) luminance() float64 {
	weights := [3]float64{0.2126, 0.7152, 0.0722}
	sum := 0.0
	for i, c := range a.channels() {
		v := float64(c) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weights[i] * v
	}
	return sum
}
