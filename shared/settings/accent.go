package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// Accent is the one colour in which pages and emails dress their links and
// buttons, as it stands on white: "#" and six hexadecimal digits.
type Accent string

var accentForm = regexp.MustCompile(`^#[0-9a-f]{6}$`)

// readable is the least contrast of text with what is behind it (WCAG 2.2, AA).
const readable = 4.5

// dark is the brightest of the surfaces that text stands on in the dark.
const dark Accent = "#253048"

func readAccent(raw json.RawMessage) (Accent, error) {
	var a Accent
	if decode(raw, &a) != nil || !accentForm.MatchString(string(a)) || a.contrast("#f3f5f9") < readable {
		return "", errors.New("must be a colour such as \"#2456c8\", dark enough to be read on white")
	}
	return a, nil
}

// InTheDark is the colour as it is read on dark surfaces: the same, with as much
// white as it takes.
func (a Accent) InTheDark() Accent {
	c := a.channels()
	for white := 0.0; ; white += 0.05 {
		var mixed [3]uint8
		for i := range c {
			mixed[i] = uint8(math.Round(float64(c[i]) + (255-float64(c[i]))*min(white, 1)))
		}
		lighter := Accent(fmt.Sprintf("#%02x%02x%02x", mixed[0], mixed[1], mixed[2]))
		if lighter.contrast(dark) >= readable+1 || white >= 1 {
			return lighter
		}
	}
}

func (a Accent) channels() [3]uint8 {
	n, err := strconv.ParseUint(string(a[1:]), 16, 32)
	if err != nil {
		panic(err) // its form was checked when it was read
	}
	return [3]uint8{uint8(n >> 16), uint8(n >> 8), uint8(n)}
}

// contrast is WCAG's ratio of two colours' luminances, from 1 to 21.
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
