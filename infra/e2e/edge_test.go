package e2e

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// An anonymous client that uses up the limit of one class of calls leaves the others
// their own: not one of a signed-in owner's calls is refused.
func TestOneClassLeavesTheOthers(t *testing.T) {
	t.Parallel()
	const burst = 60 // what each class takes at once, and the calls of the owner
	for flooded, target := range map[string]string{"access": "GET /v1/accounts/$account/access", "the platform's access": "POST /v1/platform/access", "the API's other calls": "POST /v1/accounts", "pages": "GET /signin"} {
		t.Run(flooded, func(t *testing.T) {
			t.Parallel()
			s := startOwn(t, "-schedules=false",
				"-set", "AccessRateLimit=5", "-set", "AccessBurstLimit=60", "-set", "ApiRateLimit=5", "-set", "ApiBurstLimit=70",
				"-set", "PagesRateLimit=5", "-set", "PagesBurstLimit=60")
			olga := s.person(t, "olga@edge.test")
			account := olga.opens(t, "Luna Brewery")
			method, path, _ := strings.Cut(strings.ReplaceAll(target, "$account", account), " ")

			platform := s.platformClient(t)

			var refused atomic.Int64
			var flood sync.WaitGroup
			done := make(chan struct{})
			for range 2 {
				flood.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
						}
						answer, err := s.Call(t.Context(), method, path, nil)
						if err != nil {
							t.Error(err)
							return
						}
						if answer.Status == http.StatusTooManyRequests {
							refused.Add(1)
						}
					}
				})
			}
			stop := sync.OnceFunc(func() { close(done); flood.Wait() })
			defer stop()
			eventually(t, "the flood uses up its limit", func() bool { return refused.Load() > burst })
			calls := map[string]func() *reply{
				"access": func() *reply { return olga.get(t, "/v1/accounts/"+account+"/access") },
				"the platform's access": func() *reply {
					return platform.post(t, "/v1/platform/access", map[string]any{"account": account, "email": olga.email})
				},
				"the API's other calls": func() *reply { return olga.get(t, "/v1/accounts/"+account) },
				"pages":                 func() *reply { return s.fetchPage(t, http.MethodGet, "/signin") },
			}
			before := refused.Load()
			for class, call := range calls {
				if class == flooded {
					continue
				}
				for range burst {
					if r := call(); r.Status >= 400 {
						t.Fatalf("a flood of %s: %s answers %d: %s", flooded, class, r.Status, r.Body)
					}
				}
			}
			stop()
			if refused.Load() == before {
				t.Error("the flood was over before the owner's calls")
			}
		})
	}
}

// A body that reaches a function is refused by a problem or a page of ours, a larger one by
// the gateway, as are too many headers.
func TestTooLarge(t *testing.T) {
	s := common(t)
	olga := s.person(t, "olga@large.edge.test")
	token := "Bearer " + olga.token
	const page, data = "application/x-www-form-urlencoded", "application/json"
	for _, tt := range []struct {
		kind   string
		size   int
		status int
		want   string
	}{
		{data, 64<<10 + 1, 413, `"code":"invalid"`},
		{data, 5 << 20, 413, `"code":"invalid"`},
		{data, 7 << 20, 413, `{"message":"Request Entity Too Large"}`},
		{data, 9_900_000, 413, `{"message":"Request Entity Too Large"}`},
		{data, 11 << 20, 413, `{"message":"Request Entity Too Large"}`},
		{page, 64<<10 + 1, 413, "The form is too long, and nothing was done."},
		{page, 4 << 20, 413, "The form is too long, and nothing was done."},
		{page, 5 << 20, 413, `{"message":"Request Entity Too Large"}`},
	} {
		path := map[string]string{data: "/v1/accounts", page: "/accounts/new"}[tt.kind]
		body := []byte("name=" + strings.Repeat("x", tt.size-len("name=")))
		answer, err := s.Call(t.Context(), http.MethodPost, path, body, "Content-Type", tt.kind, "Authorization", token, "Sec-Fetch-Site", "same-origin")
		must(t, err)
		if answer.Status != tt.status || !strings.Contains(string(answer.Body), tt.want) {
			t.Errorf("%s of %d bytes: %d %.300s", tt.kind, tt.size, answer.Status, answer.Body)
		}
		if ours := !strings.HasPrefix(tt.want, "{"); ours != (answer.Header.Get("Strict-Transport-Security") != "") {
			t.Errorf("%s of %d bytes: the headers are %v", tt.kind, tt.size, answer.Header)
		}
	}
	for _, size := range []int{10 << 10, 100 << 10, 500 << 10} {
		answer, err := s.Call(t.Context(), http.MethodGet, "/v1/me", nil, "Authorization", token, "X-Long", strings.Repeat("x", size))
		must(t, err)
		if answer.Status != http.StatusRequestHeaderFieldsTooLarge || string(answer.Body) != `{"message":"Request Header Fields Too Large"}` {
			t.Errorf("headers of %d bytes: %d %s", size, answer.Status, answer.Body)
		}
	}
}
