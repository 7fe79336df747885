package main

import "context"

func serve(context.Context, process, []string) error { panic("BUG: not yet") }
