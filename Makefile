# Every target's purpose is the "##" comment behind it; "make help" prints them.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help

# No test of ours skips itself, none may hang for ever. The packages that start
# processes and databases are busy enough by themselves: two at a time, and under the
# race detector, which makes everything several times as slow, one.
TEST    := go run ./cmd/internal/testtools/noskip -timeout 25m -p 2
# Packages that keep two cores busy by themselves; under the race detector they run one
# after the other.
HEAVY   := $(addprefix rekey/,cmd/drill cmd/internal/leathertest cmd/internal/rehearsal)
# Packages whose tests mostly wait: for disks, leases, processes and back-offs. Two packages
# at a time, and more of their tests at once than there may be cores.
WAITING := $(addprefix rekey/,audit/ledger/postgres bot/notify cmd/internal/cli commands/emergency commands/intake \
           commands/issue/command commands/issue/postgres commands/jobs commands/rotate)
# The race detector watches our code. These are single-threaded arithmetic on memory of
# their own, and take most of the processor time when watched, too: SQLite and its C
# library, translated from C, and what draws, packs and sums. Who calls them is watched,
# and so are the locks in them, which are the standard library's.
UNWATCHED := modernc.org/sqlite/lib modernc.org/libc/... modernc.org/memory \
           image/... golang.org/x/image/... compress/... hash/adler32 hash/crc32
# "make lint" has vetted everything: the tests that go test would let wait for it need not.
RACE    := -race -vet=off $(foreach package,$(UNWATCHED),-gcflags=$(package)=-race=false)
NEEDS   := postgresql python3 django gunicorn celery redis-server nodejs procps bzip2 journal
# Tests write databases by the dozen. Where there is a memory file system with room
# they write there: what they prove is about killed processes, not about disks.
SCRATCH := $(shell .ci/scratch)
# rekey links no C, so that one file runs on any Linux.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unversioned)
BUILD   := CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'
# Which benchmarks, and how long each. The size of the generated log files is
# REKEY_BENCH_MB: 256 by default, or full for those the goals are about (4 GB and 2 GB);
# they lie in REKEY_BENCH_DIR.
BENCH      ?= .
BENCHTIME  ?= 1s

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/rekey and bin/drill, static
	$(BUILD) -o bin/ ./cmd/rekey ./cmd/drill

.PHONY: test
test: ## run every test (installs PostgreSQL on Debian when run as root)
	@.ci/need $(NEEDS)
	TMPDIR=$(SCRATCH) $(TEST) ./...

# A process that ends is kept for a second by the race detector, so that what is left of
# it may still race. Of test binaries nothing is left, and the tests start hundreds of
# processes that end at once.
.PHONY: race
race: export GORACE = atexit_sleep_ms=0
race: ## run every test under the race detector
	@.ci/need cc $(NEEDS)
	TMPDIR=$(SCRATCH) CGO_ENABLED=1 $(TEST) $(RACE) $(filter-out $(HEAVY) $(WAITING),$(shell go list ./...))
	TMPDIR=$(SCRATCH) $(TEST) -run TestResidentMemory ./audit/logs
	TMPDIR=$(SCRATCH) CGO_ENABLED=1 $(TEST) -parallel 4 $(RACE) $(WAITING)
	TMPDIR=$(SCRATCH) CGO_ENABLED=1 $(TEST) -p 1 $(RACE) $(HEAVY)

.PHONY: leather
leather: ## every procedure, routine and compromised, on real Django under traffic; prints the README's table
	@.ci/need $(NEEDS)
	REKEY_LEATHER=all go test -count 1 -timeout 30m -v -run TestEveryProcedureUnderTraffic ./cmd/internal/leathertest

.PHONY: kill
kill: ## kill rekey in every step of every procedure, over every store, on both databases
	@.ci/need postgresql
	TMPDIR=$(SCRATCH) REKEY_KILL=all go test -count 1 -timeout 60m -v -run KilledInEveryStep ./cmd/internal/rehearsal

.PHONY: guide
guide: ## run the tests behind docs/guide-coverage.md and print how each row went
	@.ci/need $(NEEDS)
	TMPDIR=$(SCRATCH) go run ./cmd/internal/docs/acceptance -run

.PHONY: bench
bench: ## run the benchmarks, beside grep and ripgrep; BENCH=regexp BENCHTIME=1s REKEY_BENCH_MB=full
	@.ci/need postgresql ripgrep mawk
	go test -p 1 -timeout 60m -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) ./...

.PHONY: drill
drill: ## play a whole incident on this machine
	go run ./cmd/drill

.PHONY: generate
generate: ## make the generated files again
	go generate ./...

.PHONY: tidy
tidy: ## is go.mod what the code needs?
	go mod tidy -diff

.PHONY: format
format: ## is the code formatted (gofumpt)?
	@gofumpt=$$(.ci/tool gofumpt); list=$$($$gofumpt -l .); \
	if [ -n "$$list" ]; then echo "run $$gofumpt -w on:" >&2; echo "$$list" >&2; exit 1; fi

.PHONY: lint
lint: ## go vet and golangci-lint
	go vet ./...
	golangci=$$(.ci/tool golangci-lint); $$golangci run --allow-serial-runners ./...

.PHONY: generated
generated: ## are the generated files up to date?
	.ci/generated

.PHONY: vulnerabilities
vulnerabilities: ## known vulnerabilities in what is called, where the database can be reached
	.ci/vulnerabilities

# One after the other, the quick ones first, the tests last: their closing line
# ends the output.
.PHONY: ci
ci: ## everything a change must pass
	$(MAKE) tidy
	$(MAKE) format
	$(MAKE) generated
	$(MAKE) lint
	$(MAKE) vulnerabilities
	$(MAKE) race
