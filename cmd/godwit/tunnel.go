package main

import "context"

func tunnelCommand(context.Context, process, []string) error { panic("BUG: not yet") }
