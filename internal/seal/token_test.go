package seal

import (
	"bytes"
	"net/netip"
	"testing"
)

const tokenNoon = 1_700_000_000 // some time of day, in Unix seconds

var tokenClient = netip.MustParseAddrPort("192.0.2.7:4433")

func aRetry() RetryToken {
	return RetryToken{Client: tokenClient, Original: []byte("the original"), Retry: []byte("retried!")}
}

func TestRetryTokensAreGoodForOneConnectionAttempt(t *testing.T) {
	// Rules: 9000:8.1.1/1, 9000:8.1.4/2, 9000:8.1.4/3
	// RFC 9000, section 8.1.4: "Tokens sent in Retry packets SHOULD include information that allows the server to verify that
	// the source IP address and port in client packets remain constant."
	k := TokenKey{1}
	token := k.RetryToken(tokenNoon, aRetry(), 5)
	for _, c := range []struct {
		sentence string
		key      TokenKey
		now      int64
		client   string
		retry    string
		flip     int // index of a byte to change, -1: none
		want     bool
	}{
		{"at once", k, tokenNoon, "192.0.2.7:4433", "retried!", -1, true},
		{"at the end of its life", k, tokenNoon + RetryTokenLife - 1, "192.0.2.7:4433", "retried!", -1, true},
		{"after its life", k, tokenNoon + RetryTokenLife, "192.0.2.7:4433", "retried!", -1, false},
		{"by a clock that is a little behind", k, tokenNoon - tokenSkew, "192.0.2.7:4433", "retried!", -1, true},
		{"by one that is far behind", k, tokenNoon - tokenSkew - 1, "192.0.2.7:4433", "retried!", -1, false},
		{"from another address", k, tokenNoon, "192.0.2.8:4433", "retried!", -1, false},
		{"from another port", k, tokenNoon, "192.0.2.7:4434", "retried!", -1, false},
		{"for another attempt", k, tokenNoon, "192.0.2.7:4433", "retried?", -1, false},
		{"with another key", TokenKey{2}, tokenNoon, "192.0.2.7:4433", "retried!", -1, false},
		{"with another kind", k, tokenNoon, "192.0.2.7:4433", "retried!", 0, false},
		{"with another generation", k, tokenNoon, "192.0.2.7:4433", "retried!", 4, false},
		{"with another nonce", k, tokenNoon, "192.0.2.7:4433", "retried!", tokenNonceAt, false},
		{"with another content", k, tokenNoon, "192.0.2.7:4433", "retried!", tokenSealedAt, false},
		{"with another tag", k, tokenNoon, "192.0.2.7:4433", "retried!", len(token) - 1, false},
	} {
		b := bytes.Clone(token)
		if c.flip >= 0 {
			b[c.flip] ^= 1
		}
		got := RetryToken{Client: netip.MustParseAddrPort(c.client), Retry: []byte(c.retry)}
		if ok := c.key.OpenRetryToken(c.now, b, &got); ok != c.want || ok && string(got.Original) != "the original" {
			t.Errorf("%s: %v, %q", c.sentence, ok, got.Original)
		}
	}
	if k.Kind(tokenNoon, token) != RetryKind || len(token) > MaxTokenLen {
		t.Error("it does not look like what it is")
	}
	if other := k.RetryToken(tokenNoon, aRetry(), 6); bytes.Equal(other[tokenNonceAt:], token[tokenNonceAt:]) {
		t.Error("two tokens are the same")
	}
}

func TestTokensTellNothingAndAreNeverTheSame(t *testing.T) {
	// Rules: 9000:8.1.3/4, 9000:8.1.3/5, 9000:8.1.4/1
	k := TokenKey{1}
	seen := map[string]bool{}
	address := tokenClient.Addr().AsSlice()
	for random := range uint64(100) {
		token := k.NewToken(tokenNoon, tokenClient.Addr(), random<<32)
		nonce := TokenNonce(token)
		if seen[string(token)] || seen[string(nonce[:])] {
			t.Fatalf("token %d was made before", random)
		}
		seen[string(token)], seen[string(nonce[:])] = true, true
		if bytes.Contains(token, address) {
			t.Errorf("token %x shows the address", token)
		}
		for i := range token {
			forged := bytes.Clone(token)
			forged[i] ^= 1
			if k.OpenNewToken(tokenNoon, forged, tokenClient.Addr()) {
				t.Fatalf("with another byte %d it is good too", i)
			}
		}
	}
}

func TestNewTokensAreGoodForAnAddress(t *testing.T) {
	// Rules: 9000:8.1.3/3, 9000:8.1.4/2, 9000:8.1.4/4
	k := TokenKey{1}
	token := k.NewToken(tokenNoon, tokenClient.Addr(), 5)
	for _, c := range []struct {
		sentence string
		now      int64
		addr     string
		want     bool
	}{
		{"at once", tokenNoon, "192.0.2.7", true},
		{"a day later", tokenNoon + NewTokenLife - 1, "192.0.2.7", true},
		{"later still", tokenNoon + NewTokenLife, "192.0.2.7", false},
		{"after two generations", tokenNoon + 2*TokenPeriod, "192.0.2.7", false},
		{"from elsewhere", tokenNoon, "192.0.2.8", false},
		{"from the same address in its long form", tokenNoon, "::ffff:192.0.2.7", true},
	} {
		if got := k.OpenNewToken(c.now, token, netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("%s: %v", c.sentence, got)
		}
	}
	if k.Kind(tokenNoon, token) != NewKind || k.Kind(tokenNoon+2*TokenPeriod, token) != ForeignToken {
		t.Error("it does not look like what it is")
	}
	if k.OpenRetryToken(tokenNoon, token, &RetryToken{Client: tokenClient}) {
		t.Error("it passes for one of a Retry packet")
	}
}

func TestTokensOutliveOneRotationOfTheirKeys(t *testing.T) {
	k := TokenKey{1}
	const midnight = 19_000 * TokenPeriod
	retry := k.RetryToken(midnight-1, aRetry(), 1)
	got := aRetry()
	if !k.OpenRetryToken(midnight+1, retry, &got) {
		t.Error("a Retry over midnight is lost")
	}
	token := k.NewToken(midnight-1, tokenClient.Addr(), 1)
	if !k.OpenNewToken(midnight+TokenPeriod-2, token, tokenClient.Addr()) {
		t.Error("a token of the generation before is not accepted")
	}
	ahead := k.NewToken(midnight+1, tokenClient.Addr(), 1)
	if !k.OpenNewToken(midnight-1, ahead, tokenClient.Addr()) {
		t.Error("a token of a server whose clock is ahead is not accepted")
	}
}

func TestKeysOfOneSecretDiffer(t *testing.T) {
	s := Secret{1}
	if [32]byte(s.ResetKey()) == [32]byte(s.TokenKey()) || s.ResetKey() == (Secret{2}).ResetKey() || s.ResetKey() == ResetKey(s) {
		t.Error("keys that should not be are the same")
	}
}

// FuzzTokens opens what nobody made.
func FuzzTokens(f *testing.F) {
	k := TokenKey{1}
	f.Add(k.RetryToken(tokenNoon, aRetry(), 5), int64(tokenNoon))
	f.Add(k.NewToken(tokenNoon, tokenClient.Addr(), 5), int64(tokenNoon))
	f.Add([]byte{}, int64(0))
	f.Add(make([]byte, 100), int64(-1))
	f.Fuzz(func(t *testing.T, token []byte, now int64) {
		other := TokenKey{9}
		r := RetryToken{Client: tokenClient, Retry: []byte("retried!")}
		if other.OpenRetryToken(now, token, &r) || other.OpenNewToken(now, token, tokenClient.Addr()) {
			t.Fatalf("%x is believed", token)
		}
		k.OpenRetryToken(now, token, &r)
		k.OpenNewToken(now, token, tokenClient.Addr())
		if len(r.Original) > 20 {
			t.Fatal("an ID that is too long")
		}
	})
}

func BenchmarkRetryToken(b *testing.B) {
	k := TokenKey{1}
	r := aRetry()
	for b.Loop() {
		token := k.RetryToken(tokenNoon, r, 5)
		k.OpenRetryToken(tokenNoon, token, &r)
	}
}
