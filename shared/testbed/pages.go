package testbed

import (
	"testing"

	"agencyhub/shared/service"
)

// Pages reads a list to its end, limit items a page, and fails the test on a page
// over the limit or a list without an end. It returns the items and the number of
// pages.
func Pages[T any](t testing.TB, limit int, read func(service.Page) (service.List[T], error)) ([]T, int) {
	t.Helper()
	var all []T
	page := service.Page{Limit: limit}
	for n := 1; ; n++ {
		list, err := read(page)
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Items) > limit {
			t.Fatalf("%d items on a page of %d", len(list.Items), limit)
		}
		all = append(all, list.Items...)
		if list.Next == "" {
			return all, n
		}
		if n > 200 {
			t.Fatal("the list has no end")
		}
		page.Cursor = list.Next
	}
}
