# Everything a developer does here, by one word each. `make` lists the words.

SHELL := /bin/sh
.DEFAULT_GOAL := help

GO        ?= go
FUZZTIME  ?= 60s
BENCHTIME ?= 1s
# Flags of make lab-links, e.g. LINKS='-links.seeds=1 -links.time=30s', or -parallel=3 on an idle machine
LINKS     ?=
# Flags of make sim: SIM=-sim.update makes its figures the baseline
SIM       ?=
# Flags of make hear, e.g. HEAR=-hear.seeds=20
HEAR      ?=
# Examples that are modules of their own, for dependencies of their own
ENGINES   := oto ebitengine beep
# Narrow any of the test targets with PKG, e.g. make race PKG=./session/...
PKG       ?= ./...

# quic-go would otherwise tell every test about the kernel's buffer limits.
export QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING := true

# The race detector's pointer checks don't understand the buffers that
# PortAudio's binding hands to C.
RACEFLAGS := -race -gcflags=github.com/gordonklaus/portaudio=-d=checkptr=0

.PHONY: help demo test race soak fuzz bench bench-lanes bench-features latency lab-nat lab-links sim hear cross lint fmt tidy examples check setup clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## install what building, testing and linting need
	@scripts/setup.sh build test lint

demo: ## three peers talk on this machine: to all, in a room, in a whisper
	@scripts/setup.sh build
	$(GO) run ./examples/chat/demo

test: ## run all tests, in random order
	@scripts/setup.sh test
	@GO='$(GO)' scripts/test.sh -shuffle=on -timeout 9m -- $(PKG)

race: ## run under the race detector all tests of what is concurrent
	@scripts/setup.sh test
	@export GO='$(GO)' && packages=$$(scripts/concurrent.sh $(PKG)) && \
		scripts/test.sh $(RACEFLAGS) -shuffle=on -timeout 25m -- $$packages

soak: ## run the hours-long tests (PARLEY_SOAK=1)
	@scripts/setup.sh test
	PARLEY_SOAK=1 $(GO) test -run Soak -count=1 -v -timeout 3h $(PKG)
	@[ "$$(id -u)" = 0 ] || echo 'SKIPPED, not root: the rows of make lab-nat that take minutes'
	@[ "$$(id -u)" != 0 ] || PARLEY_LAB=nat PARLEY_SOAK=1 $(GO) test -run='^TestNATLab$$/./(5_min|12_and_12)' -count=1 -v -timeout 30m ./integration_test

fuzz: ## run every fuzz target for FUZZTIME (60s) each
	@scripts/setup.sh build
	@GO='$(GO)' FUZZTIME='$(FUZZTIME)' scripts/fuzz.sh $(PKG)

bench: ## run all benchmarks for BENCHTIME (1s) each
	@scripts/setup.sh build
	$(GO) test -run='^$$' -bench=. -benchmem -benchtime=$(BENCHTIME) -timeout 60m $(PKG)

bench-features: ## show what each feature costs, and that unused ones cost nothing
	@scripts/setup.sh build
	$(GO) test -run='^TestFeaturesThatAreNotUsedCostNothing$$' -count=1 -v ./integration_test -features.time=10s -features.rounds=9

latency: ## measure from mouth to ear through virtual sound devices
	@scripts/setup.sh test
	PARLEY_LAB=latency $(GO) test -run='^TestMouthToEar$$' -count=1 -v ./integration_test

lab-nat: ## show who can talk to whom through NATs, and judge it (root)
	@scripts/setup.sh test
	PARLEY_LAB=nat $(GO) test -run='^TestNATLab$$' -count=1 -v -timeout 60m ./integration_test

lab-links: ## show what is heard over bad links, beside the bars (root)
	@scripts/setup.sh test
	PARLEY_LAB=links $(GO) test -run='^TestLinkLab$$' -count=1 -v -parallel=1 -timeout 80m ./integration_test $(LINKS)

sim: ## the same in virtual time, compared with the baseline
	@scripts/setup.sh build
	PARLEY_LAB=sim $(GO) test -run='^TestSim$$' -count=1 -v -timeout 30m ./integration_test $(SIM)

hear: ## show how well speech is understood over links that lose, beside the bars
	@scripts/setup.sh hear
	PARLEY_LAB=hear $(GO) test -run='^TestHear$$' -count=1 -v -timeout 30m ./integration_test $(HEAR)

cross: ## build what needs no C for windows and darwin
	@GO='$(GO)' scripts/cross.sh

bench-lanes: ## show what striping over several streams does for timing
	$(GO) test -run='^TestLanesPay$$' -count=1 -v -timeout 60m ./p2p -lanes.full

lint: ## run the linters that .golangci.yml names
	@scripts/setup.sh build lint
	@PATH="$(CURDIR)/bin:$$PATH:$$($(GO) env GOPATH)/bin" golangci-lint run $(PKG)

fmt: ## format the code as the linters want it
	@scripts/setup.sh lint
	@PATH="$(CURDIR)/bin:$$PATH:$$($(GO) env GOPATH)/bin" golangci-lint fmt

tidy: ## show what go mod tidy would change, and fail if anything
	$(GO) mod tidy -diff
	@for m in $(ENGINES); do (set -x; cd examples/$$m && $(GO) mod tidy -diff) || exit 1; done

examples: ## build all example programs into bin/
	@scripts/setup.sh build
	@scripts/setup.sh examples
	@mkdir -p bin
	$(GO) build -o bin/ ./examples/...
	@for m in $(ENGINES); do (set -x; cd examples/$$m && $(GO) vet . && $(GO) build -o ../../bin/ .) || exit 1; done

check: lint tidy test race examples ## all that a change must pass

clean: ## remove what make built
	rm -rf bin out coverage.out
