// Page judges how a browser drew the page of a report: it looks at the screenshot and the
// printed pages. It fails when charts or tables are missing, something sticks out, or the
// print does not fit its paper.
package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	_ "image/png"
	"os"
	"regexp"
)

// Colours of the style sheet that charts and alarms are drawn in.
var colours = map[string]color.RGBA{
	"attested": {0x17, 0x51, 0x7a, 255}, "none observed": {0x7f, 0xb0, 0xcf, 255}, "declared": {0xd8, 0xa2, 0x3a, 255},
	"inferred": {0xc4, 0x62, 0x2d, 255}, "unknown": {0xc3, 0xc9, 0xd0, 255}, "accent": {0x0b, 0x3d, 0x5c, 255},
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "page: want SCREENSHOT PRINT")
		os.Exit(2)
	}
	var complaints []string
	for _, check := range []func() ([]string, error){func() ([]string, error) { return screenshot(os.Args[1]) }, func() ([]string, error) { return print(os.Args[2]) }} {
		found, err := check()
		if err != nil {
			fmt.Fprintln(os.Stderr, "page:", err)
			os.Exit(2)
		}
		complaints = append(complaints, found...)
	}
	for _, c := range complaints {
		fmt.Fprintln(os.Stderr, "page:", c)
	}
	if len(complaints) > 0 {
		os.Exit(1)
	}
}

// screenshot counts pixels: each colour of a chart is there, and the rim is empty.
func screenshot(name string) (complaints []string, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	img, _, err := image.Decode(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	counts := map[color.RGBA]int{}
	size := img.Bounds()
	rim := color.RGBAModel.Convert(img.At(size.Max.X-1, size.Max.Y/2)).(color.RGBA)
	stains := 0
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			c := color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)
			counts[c]++
			if x >= size.Max.X-8 && c != rim {
				stains++
			}
		}
	}
	for what, c := range colours {
		if counts[c] < 200 {
			complaints = append(complaints, fmt.Sprintf("%s: %d pixels in the colour of %q: it is not drawn", name, counts[c], what))
		}
	}
	if ink := counts[color.RGBA{0x16, 0x20, 0x2b, 255}]; ink < 2000 {
		complaints = append(complaints, fmt.Sprintf("%s: %d pixels of text", name, ink))
	}
	if stains > 0 {
		complaints = append(complaints, fmt.Sprintf("%s: %d pixels at the right rim: something sticks out", name, stains))
	}
	fmt.Printf("%s: %d x %d, %d colours\n", name, size.Dx(), size.Dy(), len(counts))
	return complaints, nil
}

var (
	sheet = regexp.MustCompile(`/Type\s*/Page\b[^s]`)
	paper = regexp.MustCompile(`/MediaBox\s*\[\s*0\s+0\s+([0-9.]+)\s+([0-9.]+)`)
)

// print counts pages and looks at the paper: A4, in points.
func print(name string) (complaints []string, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(data, []byte("%PDF-")) {
		return nil, fmt.Errorf("%s is no PDF", name)
	}
	pages := len(sheet.FindAll(data, -1))
	if pages < 4 || pages > 20 {
		complaints = append(complaints, fmt.Sprintf("%s: %d pages", name, pages))
	}
	for _, m := range paper.FindAllSubmatch(data, -1) {
		var w, h float64
		if _, err := fmt.Sscan(string(m[1])+" "+string(m[2]), &w, &h); err != nil || w < 590 || w > 600 || h < 838 || h > 846 {
			complaints = append(complaints, fmt.Sprintf("%s: a page of %s x %s points is not A4", name, m[1], m[2]))
		}
	}
	fmt.Printf("%s: %d pages\n", name, pages)
	return complaints, nil
}
