package tunnel

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestATokenIsReadAsItWasWritten(t *testing.T) {
	k := NewKey()
	for _, addrs := range [][]string{
		{"127.0.0.1:4433"},
		{"[2001:db8::1]:443", "192.0.2.7:443", "exit.example:40000", "a_b-c.example.:1"},
		slices.Repeat([]string{strings.Repeat("a", 249) + ":65535"}, maxAddrs),
	} {
		want := tokenFor(t, k, addrs...)
		text := want.Text()
		got, err := ParseToken(" " + text + "\r\n")
		if err != nil || got.Exit != k.Pin() || got.Secret != k.secret || !slices.Equal(got.Addrs, addrs) {
			t.Errorf("%v, %v", got, err)
		}
		if len(text) > maxTokenText {
			t.Errorf("a token of %d characters is longer than the limit", len(text))
		}
	}
}

func TestATokenDoesNotShowItsSecret(t *testing.T) {
	token := tokenFor(t, NewKey(), "127.0.0.1:4433")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		shown := fmt.Sprintf(verb, token)
		for _, form := range []string{fmt.Sprintf("%x", token.Secret[:]), fmt.Sprint(token.Secret[:]), fmt.Sprintf("%#v", token.Secret[:])} {
			if strings.Contains(shown, strings.Trim(form, "[]byte{}")) {
				t.Errorf("%s shows it: %s", verb, shown)
			}
		}
	}
}

func TestBadTokensAreToldApart(t *testing.T) {
	text := tokenFor(t, NewKey(), "127.0.0.1:4433").Text()
	other := "A"
	if text[30] == 'A' {
		other = "B"
	}
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"nothing", "", errNoToken},
		{"something else", "http://127.0.0.1/", errNoToken},
		{"the beginning", "gw", errTokenCut},
		{"the prefix alone", "gw1.", errTokenCut},
		{"another version", "gw2." + text[4:], fmt.Errorf("the token is of a newer version than this program knows")},
		{"without its last character", text[:len(text)-1], errTokenCut},
		{"without its second half", text[:len(text)/2], errTokenCut},
		{"with a changed character", text[:30] + other + text[31:], errTokenDamaged},
		{"twice", text + text[4:], errTokenTail},
		{"with a word behind", text + " --listen", fmt.Errorf("the token contains ' ', which no token does")},
		{"with a full stop behind", text + ".", fmt.Errorf("the token contains '.', which no token does")},
		{"too long", text + strings.Repeat("A", maxTokenText), errTokenLong},
	} {
		if _, err := ParseToken(c.text); err == nil || err.Error() != c.want.Error() {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestEveryShorteningOfATokenIsRefusedAsSuch(t *testing.T) {
	text := tokenFor(t, NewKey(), "exit.example:4433", "[2001:db8::1]:4433").Text()
	for n := 1; n < len(text); n++ {
		if _, err := ParseToken(text[:n]); err != errTokenCut {
			t.Errorf("%d of %d characters: %v", n, len(text), err)
		}
	}
}

func TestEveryChangedCharacterOfATokenIsNoticed(t *testing.T) {
	text := tokenFor(t, NewKey(), "exit.example:4433").Text()
	for i := range text {
		for _, c := range []byte("A-_z0.! \x00\xff") {
			changed := text[:i] + string([]byte{c}) + text[i+1:]
			if changed == text {
				continue
			}
			if _, err := ParseToken(changed); err == nil {
				t.Errorf("character %d as %q is accepted", i, c)
			}
		}
	}
}

func TestTokensThatCannotBeMade(t *testing.T) {
	for _, c := range []struct {
		addrs []string
		want  string
	}{
		{nil, "the token names no address"},
		{slices.Repeat([]string{"h:1"}, maxAddrs+1), "a token carries at most 8 addresses, not 9"},
		{[]string{strings.Repeat("a", maxAddr) + ":1"}, "an address in a token has at most 255 characters, not 257"},
		{[]string{"exit.example"}, `address "exit.example": HOST:PORT is wanted`},
		{[]string{":4433"}, `address ":4433": it names no host`},
		{[]string{"h:0"}, `address "h:0": the port is a number from 1 to 65535`},
		{[]string{"h:65536"}, `address "h:65536": the port is a number from 1 to 65535`},
		{[]string{"h:https"}, `address "h:https": the port is a number from 1 to 65535`},
		{[]string{"0.0.0.0:1"}, `address "0.0.0.0:1": nobody can be reached there`},
		{[]string{"[::]:1"}, `address "[::]:1": nobody can be reached there`},
		{[]string{"[fe80::1%eth0]:1"}, `address "[fe80::1%eth0]:1": a zone means nothing on another machine`},
		{[]string{"a b:1"}, `address "a b:1": ' ' is in no host name`},
		{[]string{"a/b:1"}, `address "a/b:1": '/' is in no host name`},
	} {
		if _, err := NewKey().Token(c.addrs...); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.addrs, err, c.want)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	k := &Key{seed: [32]byte{1}, secret: Secret{2}}
	for _, addrs := range [][]string{{"127.0.0.1:1"}, {"[2001:db8::1]:443", "h.example:65535"}} {
		token, err := k.Token(addrs...)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(token.Text())
	}
	f.Add("gw1.")
	f.Add("gw1.AAAA")
	f.Add("gw2.")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		switch {
		case err == nil && token.Text() != strings.TrimSpace(text):
			t.Errorf("%q is read, but written as %q", text, token.Text())
		case err != nil && strings.ContainsAny(err.Error(), "\r\n"):
			t.Errorf("the error has several lines: %q", err)
		}
	})
}
