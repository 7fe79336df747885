package simnet

// Heap is a binary heap: what is before all others is its first element. container/heap would box every one of them.
type Heap[T any, P interface {
	*T
	Before(P) bool
}] []T

// Push puts an element where it belongs.
func (q *Heap[T, P]) Push(x T) {
	*q = append(*q, x)
	h := *q
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !P(&h[i]).Before(&h[parent]) {
			break
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

// Pop takes the first element away, of which there has to be one.
func (q *Heap[T, P]) Pop() T {
	var none T
	h := *q
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], none
	h = h[:last]
	*q = h
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if P(&h[child]).Before(&h[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
