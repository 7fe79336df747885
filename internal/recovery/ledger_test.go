package recovery

import (
	"testing"
	"time"
)

// Unless a transcript says otherwise the first sample is 40 ms, so that the smoothed RTT is 40 ms, its variation 20 ms,
// and the PTO of the application space 40 + 80 + 25 = 145 ms.
var transcripts = []struct {
	name   string
	config Config
	script string
}{
	{"acknowledged packets leave the flight in ascending order", Config{Server: true}, `
		0ms   send app 4
		0ms   check flight 4800
		40ms  ack app 3,0-1        | acked 0-1, acked 3
		40ms  check flight 1200
		40ms  check largest-app 3
		41ms  ack app 3,0-1
		41ms  ack app 0-3          | acked 2
		41ms  check flight 0`},

	// Rules: 9002:6.1.1/1, 9002:6.1.1/2, 9002:6.1.2/1, 9002:6.1.2/3, 9002:6.1.2/4, 9002:6.2.1/6, 9002:7.3.1/1
	{"three later packets make a packet lost", Config{Server: true}, `
		0ms   send app 4
		40ms  ack app 2-3          | acked 2-3, lost 0, congestion 1200
		# number 1 is two before the largest: only time will tell, 9/8 of 40 ms after it was sent
		40ms  check deadline 45ms
		44ms  expire
		45ms  expire               | lost 1, congestion 1200
		45ms  check deadline never
		45ms  check flight 0`},

	// Rules: 9000:13.3/7, 9002:7.4/1
	{"many losses are reported at once", Config{Server: true}, `
		0ms   send app 100
		40ms  ack app 99,50        | acked 50, acked 99, lost 0-49, lost 51-96, congestion 115200
		45ms  expire               | lost 97-98, congestion 2400
		45ms  check flight 0`},

	// Rules: 9002:6.2.1/1
	{"a probe timeout is at least the timer granularity", Config{}, `
		0ms   send initial 1
		1us   ack initial 0        | acked 0
		1us   send initial 1
		2us   ack initial 1        | acked 1
		2us   send initial 1
		2us   check deadline 1.003ms`},

	// Rules: 9002:6.1.2/2, 9002:6.1.2/5
	{"time threshold is at least the timer granularity", Config{Server: true}, `
		0ms    send app 2
		100us  ack app 1           | acked 1
		100us  check deadline 1ms
		1ms    expire              | lost 0, congestion 1200`},

	// Rules: 9002:6.1.2/1
	{"a packet sent long before the largest acknowledged one is lost at once", Config{Server: true}, `
		0ms   send app 1
		0ms   confirm
		40ms  ack app 0            | acked 0
		50ms  send app 1
		150ms send app 1
		190ms ack app 2            | acked 2, lost 1, congestion 1200`},

	{"a skipped number does not count toward the packet threshold", Config{Server: true}, `
		0ms   send app 2
		0ms   skip app
		0ms   send app 1
		40ms  ack app 3            | acked 3
		40ms  check flight 2400
		41ms  send app 1
		60ms  expire               | lost 0-1, congestion 2400
		60ms  ack app 4            | acked 4
		60ms  check error false
		60ms  ack app 2-4
		60ms  check error true`},

	// Rules: 9000:13.1/2
	{"an acknowledgment of what was never sent is an error and changes nothing", Config{Server: true}, `
		0ms   send app 2
		40ms  ack app 1-2
		40ms  check error true
		40ms  check flight 2400
		40ms  check largest-app -1
		40ms  ack handshake 0
		40ms  check error true`},

	{"a late acknowledgment of a lost packet is counted", Config{Server: true}, `
		0ms   send app 6
		40ms  ack app 4-5          | acked 4-5, lost 0-2, congestion 3600
		41ms  ack app 3-5,1        | acked 3
		41ms  check spurious 1
		42ms  ack app 0-5          | undone
		42ms  check spurious 3
		43ms  ack app 0-5
		43ms  check spurious 3`},

	{"a late acknowledgment comes too late to be counted after three probe timeouts", Config{Server: true}, `
		0ms   send app 6
		40ms  ack app 3-5          | acked 3-5, lost 0-2, congestion 3600
		475ms ack app 0-5
		475ms check spurious 0`},

	{"a late packet raises the packet threshold beyond the distance at which it came", Config{Server: true}, `
		0ms   send app 20
		40ms  ack app 9            | acked 9, lost 0-6, congestion 8400
		41ms  ack app 10           | acked 10, lost 7, congestion 1200
		42ms  ack app 5
		42ms  check threshold 6
		42ms  check delay 46.125ms
		# six before 16 is 10: of those, 9 and 10 have been acknowledged
		43ms  ack app 16           | acked 16, lost 8, congestion 1200
		44ms  ack app 17           | acked 17, lost 11, congestion 1200
		44ms  check threshold 6`},

	{"a late packet that the packet threshold would have spared widens the time threshold, once per congestion event", Config{Server: true}, `
		0ms   send app 4
		40ms  ack app 2-3          | acked 2-3, lost 0, congestion 1200
		45ms  expire               | lost 1, congestion 1200
		46ms  ack app 1
		46ms  check threshold 3
		46ms  check delay 50ms
		47ms  ack app 0            | undone
		47ms  check threshold 4
		47ms  check delay 50ms
		100ms send app 2
		140ms ack app 5            | acked 5
		140ms check deadline 150ms
		150ms expire               | lost 4, congestion 1200
		151ms ack app 4            | undone
		151ms check delay 60ms`},

	{"a reduction is undone only when each loss behind it was spurious", Config{Server: true}, `
		0ms   send app 8
		40ms  ack app 4            | acked 4, lost 0-1, congestion 2400
		41ms  ack app 6            | acked 6, lost 2-3, congestion 2400
		42ms  ack app 0-2
		42ms  check spurious 3
		42ms  check flight 2400
		43ms  ack app 3            | undone
		44ms  ack app 0-3`},

	{"a later congestion event is judged by itself", Config{Server: true}, `
		0ms   send app 4
		40ms  ack app 3            | acked 3, lost 0, congestion 1200
		45ms  expire               | lost 1-2, congestion 2400
		50ms  send app 4
		90ms  ack app 7            | acked 7, lost 4, congestion 1200
		91ms  ack app 4            | undone
		92ms  ack app 0-2
		92ms  check spurious 4`},

	{"an acknowledgment that undoes a reduction and brings a new loss reduces from the old window", Config{Server: true}, `
		0ms   send app 4
		40ms  ack app 3            | acked 3, lost 0, congestion 1200
		41ms  send app 6
		80ms  ack app 9,0          | undone, acked 9, lost 1-2, lost 4-5, congestion 4800`},

	{"marks are real congestion, whatever becomes of the losses", Config{Server: true}, `
		0ms   mark app 4
		40ms  ack app 3 ecn=0,0,1  | acked 3, lost 0, marked, congestion 1200
		41ms  ack app 0
		41ms  check spurious 1`},

	{"losses that are remembered no longer are real", Config{Server: true}, `
		0ms   send app 4
		40ms  ack app 3            | acked 3, lost 0, congestion 1200
		475ms ack app 0
		475ms check spurious 0
		475ms check threshold 3`},

	{"what a new path brings late says nothing about it", Config{Server: true}, `
		0ms   send app 8
		40ms  ack app 3            | acked 3, lost 0, congestion 1200
		41ms  migrate
		42ms  ack app 0
		42ms  check spurious 1
		42ms  check threshold 3`},

	{"packets that only acknowledge do not count", Config{Server: true}, `
		0ms   confirm
		0ms   note app
		0ms   check flight 0
		0ms   check deadline never
		0ms   send app 4
		40ms  ack app 4            | acked 4, lost 0-1, congestion 1200
		40ms  check flight 2400`},

	// Rules: 9000:14.4/1
	{"the loss of an MTU probe is not a sign of congestion", Config{Server: true}, `
		0ms   mtu app
		0ms   check flight 1400
		0ms   send app 3
		40ms  ack app 1-3          | acked 1-3, lost 0
		40ms  check flight 0`},

	// RFC 9002, section 7.6.3. There smoothed_rtt + max(4*rttvar, kGranularity) + max_ack_delay is 2 seconds; here an RTT
	// of 659 ms makes it 659 + 4*329.5 + 25 = 2002 ms. Number 0 stands for the prior sample.
	// Rules: 9002:5.2/3, 9002:7.6.1/1, 9002:7.6.2/4
	{"the example of persistent congestion", Config{Server: true}, `
		0ms      confirm
		0ms      send app 1
		659ms    ack app 0         | acked 0
		700ms    send app 1
		1000ms   send app 1
		1359ms   ack app 1         | acked 1
		2000ms   send app 1
		3000ms   send app 1
		4000ms   send app 1
		5000ms   send app 1
		6000ms   send app 1
		8000ms   send app 1
		12000ms  send app 1
		12200ms  ack app 9         | acked 9, lost 2-8, persistent
		12200ms  check minrtt 200ms`},

	{"an acknowledgment in between prevents persistent congestion", Config{Server: true}, `
		0ms      confirm
		0ms      send app 1
		659ms    ack app 0         | acked 0
		1000ms   send app 1
		4000ms   send app 1
		8000ms   send app 1
		12000ms  send app 1
		12200ms  ack app 4,2       | acked 2, acked 4, lost 1, lost 3, congestion 2400`},

	{"persistent congestion adds up over several acknowledgments", Config{Server: true}, `
		0ms      confirm
		0ms      send app 1
		659ms    ack app 0         | acked 0
		1000ms   send app 1
		1500ms   send app 1
		2159ms   ack app 2         | acked 2, lost 1, congestion 1200
		3000ms   send app 1
		4000ms   send app 1
		5000ms   send app 1
		9100ms   send app 3
		9759ms   ack app 7         | acked 7, lost 3-5, congestion 3600
		9760ms   send app 1
		10419ms  ack app 9         | acked 9, lost 6, lost 8, persistent`},

	// Rules: 9002:7.6.2/1
	{"only packets that are to be acknowledged establish persistent congestion", Config{Server: true}, `
		0ms      confirm
		0ms      send app 1
		659ms    ack app 0         | acked 0
		1000ms   pad app
		2000ms   send app 2
		9000ms   pad app
		12000ms  send app 1
		12659ms  ack app 5         | acked 5, lost 1-4, congestion 2500`},

	// Rules: 9002:7.6.2/2
	{"packets sent before the first sample cannot establish persistent congestion", Config{Server: true}, `
		0ms      confirm
		0ms      send app 1
		8000ms   send app 3
		8100ms   ack app 3         | acked 3, lost 0, congestion 1200
		8113ms   expire            | lost 1-2, congestion 2400`},

	// Rules: 9002:6.2/1, 9002:6.2.1/5, 9002:6.2.4/1, 9002:6.2.1/4, 9002:7.5/2
	{"a probe timeout probes the two oldest and declares nothing lost", Config{Server: true}, `
		0ms   confirm
		0ms   send app 1
		40ms  ack app 0            | acked 0
		50ms  note app
		50ms  send app 3
		50ms  check deadline 195ms
		194ms expire
		195ms expire               | probed 2-3
		195ms check owed-app 2
		195ms check ptos 1
		195ms check flight 3600
		195ms send app 1
		195ms check owed-app 1
		195ms send app 1
		195ms check owed-app 0
		# the backoff doubles, and counts from the newest packet
		195ms check deadline 485ms
		485ms expire               | probed 2-3
		485ms check deadline 775ms
		490ms ack app 5            | acked 5, lost 1-4, congestion 3600
		490ms check ptos 0
		490ms check owed-app 0`},

	// Rules: 9002:6.2.2/1
	{"the first flight is probed after three initial round-trip times", Config{}, `
		0ms    send initial 1
		0ms    check deadline 999ms
		999ms  expire              | probed 0
		999ms  check owed-initial 2
		999ms  check deadline 1.998s`},

	{"a probe repeats what has to be repeated, and not the probes before it", Config{}, `
		0ms    ping handshake 2
		1ms    send handshake 1
		2ms    ping handshake 1
		1001ms expire              | probed 2
		1001ms check owed-handshake 2
		1002ms ping handshake 2
		1002ms drop initial
		3000ms expire              | probed 2`},

	// Rules: 9002:6.2.1/3
	{"application data has no probe timeout before the handshake is confirmed", Config{Server: true}, `
		0ms    send handshake 1
		0ms    send app 1
		40ms   ack handshake 0     | acked 0
		40ms   check deadline never
		50ms   confirm
		50ms   check deadline 145ms`},

	// Rules: 9002:6.2.1/2, 9002:6.2.4/3
	{"the handshake comes before application data", Config{Server: true}, `
		0ms    send handshake 1
		1ms    send initial 1
		2ms    send app 1
		2ms    check deadline 999ms
		999ms  expire              | probed 0, probed 0, probed 0
		999ms  check owed-handshake 2
		999ms  check owed-initial 1
		999ms  check owed-app 1`},

	// Rules: 9002:6.2.2.1/2, 9002:6.2.2.1/3
	{"a client keeps probing until the server has validated its address", Config{}, `
		0ms    send initial 1
		40ms   ack initial 0       | acked 0
		40ms   check flight 0
		# nothing is in flight, but the server may be stuck: 40 + 4*20 ms from now
		40ms   check deadline 160ms
		160ms  expire
		160ms  check owed-initial 1
		160ms  check owed-handshake 0
		160ms  send initial 1
		160ms  check owed-initial 0
		# acknowledgments in Initial packets do not reset the backoff
		200ms  ack initial 1       | acked 1
		200ms  check ptos 1
		200ms  keys
		200ms  check deadline 400ms
		400ms  expire
		400ms  check owed-handshake 1
		400ms  send handshake 1
		440ms  ack handshake 0     | acked 0
		440ms  check ptos 0
		440ms  check deadline never`},

	{"0-RTT packets in flight do not stop the client's anti-deadlock timer", Config{}, `
		0ms    send initial 1
		0ms    send app 3
		40ms   ack initial 0       | acked 0
		40ms   check deadline 160ms
		160ms  expire              | probed 0
		160ms  check owed-initial 1
		160ms  check owed-app 1`},

	// Rules: 9002:6.2.2.1/1
	{"a server that may not send has no probe timeout", Config{Server: true}, `
		0ms    send initial 1
		0ms    amplified on
		0ms    check deadline never
		5000ms expire
		5000ms amplified off
		5000ms check deadline 999ms
		5000ms expire              | probed 0`},

	// Rules: 9002:6.2.2/3, 9002:6.4/1
	{"dropping a space takes its packets out of the flight without a fate", Config{}, `
		0ms    send initial 2
		0ms    send handshake 1
		999ms  expire              | probed 0-1, probed 0
		999ms  check ptos 1
		999ms  drop initial
		999ms  check flight 1200
		999ms  check ptos 0
		999ms  check owed-initial 0
		1000ms ack initial 0-1
		1000ms check error false`},

	{"abandoned packets are lost but not to congestion", Config{}, `
		0ms    send initial 2
		0ms    send app 1
		50ms   abandon initial     | lost 0-1
		50ms   check flight 1200
		50ms   send initial 1
		90ms   ack initial 2       | acked 2
		91ms   ack initial 0-2
		91ms   check spurious 0
		91ms   check srtt 40ms`},

	// Rules: 9002:5.1/1, 9002:5.1/2
	{"a sample needs the largest packet and one that elicits", Config{Server: true}, `
		0ms    send app 2
		0ms    note app
		40ms   ack app 1           | acked 1
		40ms   check srtt 40ms
		90ms   ack app 1,0         | acked 0
		90ms   check srtt 40ms
		95ms   ack app 0-2         | acked 2
		95ms   check srtt 40ms`},

	// Rules: 9002:5.2/1, 9002:5.2/2, 9002:5.3/1, 9002:5.3/2, 9002:5.3/3, 9002:5.3/4
	{"acknowledgment delay is limited once the handshake is confirmed", Config{Server: true}, `
		0ms    send app 1
		40ms   ack app 0 delay=30ms   | acked 0
		# the first sample is taken as it is
		40ms   check srtt 40ms
		100ms  send app 1
		200ms  ack app 1 delay=60ms   | acked 1
		# 100 - 60 is not below the minimum: the sample is 40
		200ms  check srtt 40ms
		200ms  check rttvar 15ms
		200ms  confirm
		200ms  send app 1
		305ms  ack app 2 delay=60ms   | acked 2
		# 105 - 25 = 80
		305ms  check srtt 45ms
		305ms  check rttvar 21.25ms
		305ms  check minrtt 40ms
		305ms  send app 1
		355ms  ack app 3 delay=20ms   | acked 3
		# 50 - 20 would be below the minimum
		355ms  check srtt 45.625ms`},

	{"acknowledgment delay of Initial packets is ignored", Config{}, `
		0ms    send initial 1
		40ms   ack initial 0          | acked 0
		40ms   send initial 1
		160ms  ack initial 1 delay=80ms | acked 1
		160ms  check srtt 50ms`},

	// Rules: 9000:9.4/1
	{"packets of the old path do not count on the new one", Config{Server: true}, `
		0ms    send app 4
		40ms   ack app 0              | acked 0
		50ms   migrate
		50ms   check flight 0
		50ms   check srtt 333ms
		50ms   send app 1
		60ms   ack app 1              | acked 1
		60ms   check flight 1200
		60ms   check srtt 333ms
		80ms   ack app 4,1            | acked 4, lost 2-3
		80ms   check srtt 30ms
		80ms   check flight 0`},

	// Rules: 9002:7.3.1/1
	{"congestion marks are reported once", Config{Server: true}, `
		0ms    mark app 4
		40ms   ack app 0-1 ecn=1,0,1  | acked 0-1, marked
		41ms   ack app 0-2 ecn=2,0,1  | acked 2
		42ms   ack app 0-3 ecn=2,0,2  | acked 3, marked
		42ms   check ecn proved`},

	// Rules: 9000:13.4.2.2/1
	{"marks on packets that were not marked fail validation", Config{Server: true}, `
		0ms    send app 4
		40ms   ack app 0-1 ecn=0,0,2  | acked 0-1
		40ms   check ecn failed`},

	// Rules: 9000:13.4.2.2/1
	{"missing counts fail validation", Config{Server: true}, `
		0ms    mark app 4
		40ms   ack app 0-1            | acked 0-1
		40ms   check ecn failed`},

	// Rules: 9000:13.4.2.2/1
	{"too small an increase fails validation", Config{Server: true}, `
		0ms    mark app 4
		40ms   ack app 0-1 ecn=1,0,0  | acked 0-1
		40ms   check ecn failed`},

	// Rules: 9000:13.4.2.1/1
	{"reordered frames do not fail validation", Config{Server: true}, `
		0ms    mark app 4
		40ms   ack app 2 ecn=3,0,0    | acked 2
		41ms   ack app 0-1 ecn=2,0,0  | acked 0-1
		41ms   check ecn proved`},

	{"a report that passes proves the path", Config{Server: true}, `
		0ms    mark app 4
		40ms   check ecn fine
		40ms   ack app 0-1 ecn=2,0,0  | acked 0-1
		40ms   check ecn proved`},

	// Rules: 9000:13.4.2.2/2
	{"a path that marks everything fails validation", Config{Server: true}, `
		0ms    mark app 12
		40ms   ack app 0-8 ecn=0,0,9  | acked 0-8, marked
		40ms   check ecn proved
		41ms   ack app 0-9 ecn=0,0,10 | acked 9
		41ms   check ecn failed`},

	{"a path that swallows marked packets fails validation", Config{}, `
		0ms    mark initial 1
		999ms  expire                 | probed 0
		999ms  check ecn fine
		1998ms expire                 | probed 0
		1998ms check ecn failed`},
}

func TestTranscripts(t *testing.T) {
	for _, tt := range transcripts {
		t.Run(tt.name, func(t *testing.T) {
			newTranscript(t, tt.config).run(tt.script)
		})
	}
}

func TestBackoffDoublesAndStopsBeforeOverflow(t *testing.T) {
	// Rules: 9002:6.2.1/5
	tr := newTranscript(t, Config{Server: true})
	tr.run(`0ms send initial 1`)
	last := time.Duration(0)
	for range maxBackoff {
		at := tr.l.Deadline()
		d := at.Sub(epoch)
		if last != 0 && d != 2*last {
			t.Fatalf("after %v comes %v, want twice that", last, d)
		}
		last = d
		tr.l.Expire(at)
	}
	at := tr.l.Deadline()
	for range 10 {
		tr.l.Expire(at)
		if next := tr.l.Deadline(); next != at {
			t.Fatalf("the deadline moved from %v to %v", at, next)
		}
	}
}
