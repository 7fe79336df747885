package altsvc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// fileVersion is of the form of the file. Another one is not read.
const fileVersion = 1

// The file, as JSON.
type (
	savedMemory struct {
		Version int           `json:"version"`
		Network string        `json:"network"`
		Origins []savedOrigin `json:"origins"` // the latest used last
		Broken  []savedBroken `json:"broken,omitempty"`
	}
	savedRoute struct {
		Host string `json:"host"`
		Port uint16 `json:"port"`
	}
	savedOrigin struct {
		savedRoute
		Services []savedService `json:"services"`
	}
	savedService struct {
		savedRoute
		Expires time.Time `json:"expires"`
		Persist bool      `json:"persist,omitempty"`
		Proven  bool      `json:"proven,omitempty"`
	}
	savedBroken struct {
		Origin   savedRoute `json:"origin"`
		At       savedRoute `json:"at"`
		Until    time.Time  `json:"until"`
		Failures int        `json:"failures"`
	}
)

func saved(r route) savedRoute { return savedRoute{r.host, r.port} }

// route checks what the file says.
func (s savedRoute) route() (r route, ok bool) {
	_, err := netip.ParseAddr(s.Host)
	return route{s.Host, s.Port}, s.Port > 0 && s.Host != "" && len(s.Host) < maxAuthorityBytes && (err == nil || isHostName(s.Host))
}

// encode returns what the file shall hold: what the DNS said is not in it.
func (m *memory) encode() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	out := savedMemory{Version: fileVersion, Network: m.network, Origins: []savedOrigin{}}
	for e := m.recent.Back(); e != nil; e = e.Prev() {
		e := e.Value.(*entry)
		o := savedOrigin{savedRoute: saved(e.origin)}
		for _, a := range e.learned {
			if now.Before(a.expires) {
				o.Services = append(o.Services, savedService{saved(a.route), a.expires.UTC().Truncate(time.Second), a.persist, a.proven})
			}
		}
		if o.Services != nil {
			out.Origins = append(out.Origins, o)
		}
	}
	for w, t := range m.broken { // any order
		out.Broken = append(out.Broken, savedBroken{saved(w.origin), saved(w.route), t.until.UTC().Truncate(time.Second), t.failures})
	}
	b, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		panic("BUG: a memory that is not JSON: " + err.Error())
	}
	return append(b, '\n')
}

// decode fills an empty memory from a file. What makes no sense in it is left
// out.
func (m *memory) decode(b []byte) error {
	var in savedMemory
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if in.Version != fileVersion {
		return fmt.Errorf("version %d, not %d", in.Version, fileVersion)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.network = in.Network
	now := m.now()
	latest := now.Add(maxRemembered)
	for _, so := range in.Origins {
		o, ok := so.route()
		if !ok {
			continue
		}
		for _, s := range so.Services {
			r, ok := s.route()
			if !ok || !now.Before(s.Expires) || s.Expires.After(latest) {
				continue
			}
			if e := m.get(o); len(e.learned) < maxKept {
				e.learned = append(e.learned, alternative{r, s.Expires, s.Persist, s.Proven})
			}
		}
	}
	for _, sb := range in.Broken {
		o, ok := sb.Origin.route()
		r, alsoOK := sb.At.route()
		if !ok || !alsoOK || sb.Failures < 1 || sb.Until.After(now.Add(maxBreak)) || len(m.broken) == maxBroken {
			continue
		}
		m.broken[way{o, r}] = &trouble{min(sb.Failures, maxFailures), sb.Until}
	}
	return nil
}

// load reads the file. None is as good as an empty one.
func (m *memory) load(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(b) > maxFileBytes {
		err = errors.New("it is too large")
	}
	if err == nil {
		err = m.decode(b)
	}
	if err != nil {
		return fmt.Errorf("altsvc: %s: %w", path, err)
	}
	return nil
}

// save replaces the file. Whoever reads it meanwhile sees the old or the new one.
// It says where its owner was: only the owner may read it.
func (m *memory) save(path string) error {
	b := m.encode()
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
