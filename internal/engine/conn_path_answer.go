package engine

import (
	"github.com/godwit-net/godwit/internal/recovery"
	"github.com/godwit-net/godwit/internal/wire"
)

// owedAnswer is a PATH_RESPONSE that is to be sent.
type owedAnswer struct {
	data [8]byte
	path Path // where the challenge came from, and the answer goes
	room int  // bytes that may be sent there for it: the first challenge of a datagram has the whole datagram's
	from int64
}

// answerQueue is the answers that are owed, in the order of the challenges.
//
// RFC 9000, section 8.2.2: "On receiving a PATH_CHALLENGE frame, an endpoint MUST respond by echoing the data contained in the
// PATH_CHALLENGE frame in a PATH_RESPONSE frame." A batch of datagrams may hold several, of several paths.
type answerQueue struct {
	owed [maxAnswers]owedAnswer
	n    int
}

// push enters the answer to a challenge. When too many are owed, the oldest goes.
func (q *answerQueue) push(a owedAnswer) {
	if q.n > 0 && q.owed[q.n-1].from == a.from {
		a.room = 0
	}
	if q.n == maxAnswers {
		q.remove(0)
	}
	q.owed[q.n] = a
	q.n++
}

// remove takes an answer out. What room it had is left to the next of its datagram.
func (q *answerQueue) remove(i int) {
	if a := &q.owed[i]; i+1 < q.n && q.owed[i+1].from == a.from {
		q.owed[i+1].room += a.room
	}
	copy(q.owed[i:], q.owed[i+1:q.n])
	q.n--
}

// owes reports whether an answer is to be sent on a path.
func (q *answerQueue) owes(on Path) bool {
	for i := range q.n {
		if samePath(q.owed[i].path, on) {
			return true
		}
	}
	return false
}

// elsewhere returns another path than the one in use on which an answer is to be sent, and how many bytes may go there.
func (q *answerQueue) elsewhere(inUse Path) (to Path, room int, ok bool) {
	for i := range q.n {
		switch a := &q.owed[i]; {
		case !ok && !samePath(a.path, inUse):
			to, room, ok = a.path, a.room, true
		case ok && samePath(a.path, to):
			room += a.room
		}
	}
	return to, room, ok
}

// drop gives up the answers on a path.
func (q *answerQueue) drop(on Path) {
	for i := q.n - 1; i >= 0; i-- {
		if samePath(q.owed[i].path, on) {
			q.remove(i)
		}
	}
}

// appendTo appends the answers that go to a path, each once; false: they did not all fit.
func (q *answerQueue) appendTo(d *datagram, on Path) bool {
	for i := 0; i < q.n; {
		if !samePath(q.owed[i].path, on) {
			i++
			continue
		}
		if !d.appendFrame(wire.AppendPathResponse(d.scratch(), q.owed[i].data)) {
			return false
		}
		d.addFact(recovery.Fact{Kind: factPath})
		q.owed[i].room = 0 // it is used
		q.remove(i)
	}
	return true
}
