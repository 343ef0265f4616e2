package agency

import (
	"strings"
	"testing"
)

func TestMailboxes(t *testing.T) {
	for name, tt := range map[string]struct {
		a, b string
		one  bool
	}{
		"case and blanks":           {" Vera@Client.TEST ", "vera@client.test", true},
		"a tag":                     {"vera+1@client.test", "vera@client.test", true},
		"two tags":                  {"vera+1+2@client.test", "vera+x@client.test", true},
		"nothing before the tag":    {"+1@client.test", "+2@client.test", false},
		"dots elsewhere":            {"ve.ra@client.test", "vera@client.test", false},
		"dots at Gmail":             {"v.e.r.a@gmail.com", "vera@gmail.com", true},
		"dots and a tag at Gmail":   {"ve.ra+1@gmail.com", "vera@gmail.com", true},
		"dots in a tag at Gmail":    {"vera+1.2@gmail.com", "vera@gmail.com", true},
		"the two domains of Gmail":  {"Ve.ra@googlemail.com", "vera@gmail.com", true},
		"a domain below Gmail's":    {"ve.ra@mail.gmail.com", "vera@mail.gmail.com", false},
		"a dot before the tag":      {"vera.+1@client.test", "vera@client.test", true},
		"two spellings of a domain": {"vera+1@BÜCHER.test", "vera@xn--bcher-kva.test", true},
		"another person":            {"vera@client.test", "vero@client.test", false},
		"another domain":            {"vera@client.test", "vera@other.test", false},
	} {
		if got := Mailbox(tt.a) == Mailbox(tt.b); got != tt.one {
			t.Errorf("%s: %q and %q are one mailbox: %t, want %t", name, tt.a, tt.b, got, tt.one)
		}
		if !Mailbox(tt.a).IsValid() || MailboxID(NewPersonID(tt.a)).IsValid() {
			t.Errorf("%s: form", name)
		}
	}
	for _, none := range []string{"", "@", "vera", "vera@cl+ient.test", "..@gmail.com", "vera@client.test@gmail.com"} {
		if got := Mailbox(none); got != "" {
			t.Errorf("%q has a mailbox", none)
		}
	}
	const address = "vera@client.test"
	if strings.TrimPrefix(string(Mailbox(address)), mailboxPrefix) == strings.TrimPrefix(string(NewPersonID(address)), personPrefix) {
		t.Error("a mailbox's id is a person's")
	}
}

func TestUntagged(t *testing.T) {
	for address, want := range map[string]string{
		"Vera+News@Client.test": "vera@client.test",
		"vera@client.test":      "vera@client.test",
		"ve.ra+1@gmail.com":     "ve.ra@gmail.com",
		"+1@client.test":        "+1@client.test",
		"vera.+1@client.test":   "vera@client.test",
		"vera+1@Bücher.test":    "vera@xn--bcher-kva.test",
		"a+b@c+d@client.test":   "",
		"no address+1":          "",
		"":                      "",
	} {
		if got := Untagged(address); got != want {
			t.Errorf("%q without its tag is %q, want %q", address, got, want)
		}
	}
}

func FuzzMailbox(f *testing.F) {
	for _, seed := range []string{"vera+1@client.test", "v.e+x@GMail.com", "+@x", "@", "İ+1@googlemail.com", ".+a@gmail.com", "a.+1@x.test"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		email, untagged, box := NormaliseEmail(address), Untagged(address), Mailbox(address)
		if email == "" {
			if untagged != "" || box != "" {
				t.Errorf("%+q is no address, and has a mailbox", address)
			}
			return
		}
		if NormaliseEmail(untagged) != untagged || Untagged(untagged) != untagged {
			t.Errorf("%+q: without its tag %+q", address, untagged)
		}
		if !box.IsValid() || Mailbox(untagged) != box || Mailbox(email) != box {
			t.Errorf("%+q: its spellings are several mailboxes", address)
		}
		local, domain, _ := strings.Cut(untagged, "@")
		if tagged := local + "+tag@" + domain; local[0] != '+' && NormaliseEmail(tagged) != "" && Mailbox(tagged) != box {
			t.Errorf("%+q: a tag makes another mailbox", address)
		}
	})
}
