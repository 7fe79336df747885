# One line a target; `make` alone lists them.
GO ?= go
MODULES = . interop bench

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

check: format vet test ## what every change has to pass: format, vet on three systems, tests, the tests about the code

format: ## fail when a file is not formatted
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }

vet: ## go vet on linux, darwin and windows
	$(GO) vet ./... && GOOS=darwin $(GO) vet ./... && GOOS=windows $(GO) vet ./...

test: ## the tests of the main module
	$(GO) test ./...

race: ## the same under the race detector
	$(GO) test -race ./...

sim: ## random worlds from seeds; SEED=n replays one, SEEDS=n lives n of them, from SEED on, and lists those that failed
	GODWIT_SEED=$(SEED) GODWIT_SEEDS=$(SEEDS) $(GO) test -count=1 -timeout=12h $(if $(SEEDS),-v -run TestSeeds) ./internal/sim

hostile: ## hostile clients against godwit serve; ADDR=127.0.0.1:port looks how another server does, whose process is PID
	GODWIT_HOSTILE=full GODWIT_HOSTILE_ADDR=$(ADDR) GODWIT_HOSTILE_PID=$(PID) $(GO) test -count=1 -timeout=1h -v ./internal/hostile

HOSTILE = GODWIT_HOSTILE_RESULTS=$(CURDIR)/docs/hostile.jsonl GODWIT_HOSTILE_TABLE=$(CURDIR)/docs/security.md
hostile-table: ## the same against quic-go, nginx and HAProxy, as the table in docs/security.md; ATTACK=regexp repeats some
	$(if $(ATTACK),,rm -f docs/hostile.jsonl)
	-cd interop && $(HOSTILE) $(GO) test -count=1 -parallel 7 -timeout 2h -run 'TestHostileObservations/.*/$(subst $() ,_,$(ATTACK))' .
	cd interop && $(HOSTILE) $(GO) test -count=1 -run TestHostileTable .

soak: ## thousands of connections that come and go through a bad network, with faults and a kill, for MINUTES (default 3); what is left
	GODWIT_SOAK=$(or $(MINUTES),3) $(GO) test -count=1 -timeout=2h -v -run TestSoak ./internal/soak

fuzz: ## every fuzz target for FUZZTIME (default 10s) each
	./internal/tidy/fuzz.sh $(or $(FUZZTIME),10s)

conformance: ## docs/conformance.md, and which tests hold which rules; GODWIT_SPECS names a folder with the RFCs
	$(GO) test -count=1 ./internal/conformance -args -write

mutations: ## remove rules from the code, one after another, and see whether the tests that name them fail; ARGS=-untried, or -only=9000:8
	$(GO) test -count=1 -timeout=2h ./internal/conformance -run TestMutations -v -args -mutate $(ARGS)

peers: ## install the real peers that interop wants (root, Debian)
	./interop/install.sh

interop: ## real clients and servers against ours, and the quick half of the matrix
	cd interop && $(GO) test -count=1 -parallel 6 -timeout 25m ./...

MATRIX = GODWIT_MATRIX_RESULTS=$(CURDIR)/docs/interop.jsonl GODWIT_MATRIX_TABLE=$(CURDIR)/docs/interop.md
interop-matrix: ## docs/interop.md, from a full run of the matrix; PEER=name runs one column again
	$(if $(PEER),,rm -f docs/interop.jsonl)
	-cd interop && $(MATRIX) GODWIT_MATRIX=full $(GO) test -count=1 -parallel 6 -timeout 2h -run 'TestMatrix$$/cells/$(PEER)' .
	cd interop && $(MATRIX) $(GO) test -count=1 -run TestMatrixTable .

bench: ## Godwit and quic-go side by side
	cd bench && $(GO) run . $(ARGS)

build: ## bin/godwit, one static file
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/godwit ./cmd/godwit

.PHONY: help check format vet test race sim soak hostile hostile-table fuzz conformance mutations peers interop interop-matrix bench build
