package http3

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// panicError is a panic as the error of a request.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("http3: a panic: %v", e.value) }

func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}

// guard is deferred by what sends a request's content in a goroutine: the
// request's Body and its httptrace.ClientTrace are the caller's. A panic there
// ends the request.
func (c *call) guard() {
	if r := recover(); r != nil {
		c.cc.q.Panicked(r)
		c.abort(&panicError{r})
	}
}

// errPanicked is why a call is given up whose caller is being unwound.
var errPanicked = errors.New("http3: a panic")

// unwound is deferred by what runs in the caller's goroutine. A panic passes,
// as it does in net/http, but the connection need not wait for the call for ever.
func (c *call) unwound(returned *bool) {
	if !*returned {
		c.abort(errPanicked)
		c.requestOver()
		c.responseOver()
	}
}

// dialPanicked makes a panic the outcome of a dial: Transport.Dial and the
// trace of a request are the application's.
func (t *Transport) dialPanicked(r any) (err error) {
	err = &panicError{r}
	defer func() { _ = recover() }() // of the Logger
	t.log().Error("http3: a dial panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	return err
}
