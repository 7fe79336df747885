package quic

import (
	"fmt"
	"testing"
)

func (s *TokenStore) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byName) != s.ordered.Len() {
		panic("BUG: a map and a list that disagree")
	}
	return len(s.byName)
}

func TestATokenIsUsedOnceAndTheNewestFirst(t *testing.T) {
	// Rules: 9000:8.1.3/9
	s := NewTokenStore(2)
	s.put("a:443", []byte("1"))
	s.put("a:443", []byte("2"))
	s.put("a:443", nil)
	if got := s.take("a:443"); string(got) != "2" {
		t.Errorf("first %q", got)
	}
	if got := s.take("a:443"); got != nil {
		t.Errorf("then %q", got)
	}
	var none *TokenStore
	none.put("a:443", []byte("1"))
	if none.take("a:443") != nil {
		t.Error("no store gives a token")
	}
}

func TestATokenStoreForgetsTheLongestUnused(t *testing.T) {
	s := NewTokenStore(3)
	for i := range 5 {
		s.put(fmt.Sprint(i), []byte{byte(i + 1)})
	}
	s.put("2", []byte("again"))
	s.put("5", []byte("5"))
	if s.len() != 3 || s.take("3") != nil || s.take("0") != nil {
		t.Errorf("it holds %d, the wrong ones", s.len())
	}
	for _, name := range []string{"2", "4", "5"} {
		if s.take(name) == nil {
			t.Errorf("it lost %s", name)
		}
	}
	if s := NewTokenStore(0); s.max != 64 {
		t.Errorf("the default is %d", s.max)
	}
}
