package main

import "context"

func get(context.Context, process, []string) error { panic("BUG: not yet") }
