package main

// onCountersSignal does nothing: Windows has no signal to ask with.
func onCountersSignal(func()) (stop func()) { return func() {} }
