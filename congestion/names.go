package congestion

import "fmt"

// kinds is the explicit list behind ByName. There is no registration: a controller of one's own needs no name, only a
// function that makes it.
var kinds = [...]struct {
	name string
	make func(mss int) Controller
}{
	{"cubic", func(mss int) Controller { return NewCubic(mss) }},
	{"reno", func(mss int) Controller { return NewReno(mss) }},
}

// ByName makes the controller called name, for datagrams of mss bytes. An unknown name is an error that lists the known
// ones.
func ByName(name string, mss int) (Controller, error) {
	for _, k := range kinds {
		if k.name == name {
			return k.make(mss), nil
		}
	}
	return nil, fmt.Errorf("congestion: no controller is called %q; known are %v", name, Names())
}

// Names lists the names that ByName knows, in alphabetical order.
func Names() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}
