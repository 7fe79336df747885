package udp

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxTableReads is how often the table of sockets is read for one: the kernel hands it out in pieces, and a line may fall between
// two of them while other sockets come and go.
const maxTableReads = 3

// PortOwner returns the process that holds a port of "tcp" or "udp" on any address, as in "nginx (pid 812)". It returns
// "" when nobody does, or when the process is not this user's to see. A TCP port is held by who listens on it. Of several
// processes that share the socket it names the oldest.
func PortOwner(network string, port int) string {
	inodes := socketInodes(network, port)
	for tries := 1; len(inodes) == 0 && tries < maxTableReads; tries++ {
		inodes = socketInodes(network, port)
	}
	if len(inodes) == 0 {
		return ""
	}
	owner := 0
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || owner != 0 && pid > owner || !holds(pid, inodes) {
			continue
		}
		owner = pid
	}
	if owner == 0 {
		return ""
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", owner))
	if err != nil {
		return fmt.Sprintf("pid %d", owner)
	}
	return fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(name)), owner)
}

// socketInodes returns the sockets on a port, by the link texts that /proc/PID/fd has for them.
func socketInodes(network string, port int) map[string]bool {
	network = strings.TrimRight(network, "46")
	inodes := make(map[string]bool)
	for _, table := range []string{network, network + "6"} {
		text, err := os.ReadFile("/proc/net/" + table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if inode := socketOnPort(line, network, port); inode != "" {
				inodes["socket:["+inode+"]"] = true
			}
		}
	}
	return inodes
}

// socketOnPort returns the inode in a line of /proc/net/udp and its like, "" if it is not about the port:
//
//	sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ...
//	0: 00000000:20FB 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 16021 ...
func socketOnPort(line, network string, port int) string {
	const listening = "0A" // TCP_LISTEN
	fields := strings.Fields(line)
	if len(fields) < 10 || network == "tcp" && fields[3] != listening {
		return ""
	}
	_, hex, _ := strings.Cut(fields[1], ":")
	if n, err := strconv.ParseUint(hex, 16, 16); err != nil || int(n) != port {
		return ""
	}
	return fields[9]
}

// holds reports whether the process has one of the sockets open.
func holds(pid int, sockets map[string]bool) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, fd := range fds {
		if link, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && sockets[link] {
			return true
		}
	}
	return false
}
