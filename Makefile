# sipuri: every target sets itself up on a fresh Debian machine with python3 (3.11 or newer), git and make.
SHELL := /bin/sh
# Debian's own Python is built with its profile-guided optimisations; one that pyenv compiled takes a sixth longer for everything here.
ifndef PYTHON
PYTHON := $(shell for found in /usr/bin/python3 python3; do \
	$$found -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$found && break; done)
PYTHON := $(or $(PYTHON),python3)
endif
# The tests start some two hundred processes: compiling our modules anew for each would take a quarter of their time.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
PIP := $(BIN)/pip install -qq --disable-pip-version-check
# Tests of the pure packages, and of what stands close to them: no database but SQLite, no Debian package, and no root but for those that are marked.
PURE := $(addprefix tests/unit/,admission audio bxml engine kernel ng proxy relay rtp sdp secure sip transactions user_agent)
# Of the others, those that a change of rules, files or documents breaks first.
FIRST := $(wildcard tests/unit/voiceapps/test_*rules.py) $(addprefix tests/unit/voiceapps/test_,admission.py limits.py cidr.py webhook_bodies.py) \
	$(addprefix tests/contract/test_,references.py sizes.py migrations.py)
# The tests that `make test` leaves to `make test-all`.
MARKED = $(if $(SIPURI_LONG),,-m "not long")
# What `make quick` checks the types of: files that differ from this commit, and what they import.
BASE ?= HEAD
PEERS := curl espeak-ng sip-tester baresip linphone-cli kamailio kamailio-tls-modules rtpengine-daemon bind9-dnsutils iproute2 nftables postgresql redis-server chromium

.DEFAULT_GOAL := help
.PHONY: help chaos soak demo up quick test test-all format lint types layers pure unit daemons conformance peers simulate soak-media fuzz fuzz-media fuzz-api \
	bench-api bench-console bench-flood bench-media bench-orders bench-signalling bench-speech bench-strangers bench-voice pictures openapi clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/demo  ## a real call through every part, told as it happens (DEMO_ONCE=1 ends after it)
	@deploy/need-packages espeak-ng
	@$(BIN)/python -m demo

up: .venv/demo  ## run every role in the foreground until Ctrl-C
	@deploy/need-packages espeak-ng
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py runall

quick: .venv/dev lint layers  ## within a minute: lint, layers, types of what changed since BASE=HEAD, pure tests
	@changed=$$(git diff --name-only --diff-filter=d $(BASE) -- '*.py'; git ls-files --others --exclude-standard -- '*.py'); \
		[ -z "$$changed" ] || $(BIN)/mypy $$changed
	$(BIN)/pytest -n 2 -m "not root and not long" $(PURE) $(FIRST)

test: .venv/dev lint types layers pure unit daemons  ## everything that has to pass (a quarter of an hour)

test-all: export SIPURI_LONG := 1
test-all: test  ## the same with the tests that are marked as long

format: .venv/dev  ## put code into its form and imports into their order
	$(BIN)/ruff check --select I,RUF022,UP --fix .
	$(BIN)/ruff format .

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy .
	$(BIN)/python manage.py makemigrations --check --dry-run

layers: .venv/dev
	$(BIN)/lint-imports

pure: .venv/dev
	@deploy/need-packages iproute2 nftables
	$(BIN)/pytest -n 2 $(MARKED) --cov --cov-report=term $(PURE)

unit: .venv/dev
	@deploy/need-packages espeak-ng curl iproute2 nftables
	@command -v npm >/dev/null || deploy/need-packages nodejs npm
	$(BIN)/pytest -n 2 $(MARKED) tests/unit tests/contract $(addprefix --ignore=,$(PURE))

daemons: .venv/dev
	@deploy/need-packages $(PEERS)
	@command -v npm >/dev/null || deploy/need-packages nodejs npm
	$(BIN)/pytest -n 4 $(MARKED) --dist loadfile --no-loadscope-reorder tests/integration tests/browser

CORPUS ?= ../shared/conformance

conformance: .venv/dev  ## messages of RFCs and real devices against the running proxy (CORPUS=DIR)
	@$(BIN)/python -m tests.conformance $(CORPUS)

peers: .venv/dev  ## scenarios, Kamailio and phones over every transport, then calls of ten minutes (SIPURI_PEER_SECONDS=600)
	@deploy/need-packages $(PEERS)
	SIPURI_EVERY_TRANSPORT=1 $(BIN)/pytest -n 3 --dist loadfile tests/integration/test_scenarios.py tests/integration/test_scenarios_dialog.py \
		tests/integration/test_kamailio.py tests/integration/test_peers.py
	$(BIN)/pytest -s -n 0 tests/peers

simulate: .venv/dev  ## 10,000 calls over a network that loses a fifth (some minutes; SIPURI_SIMULATION_SEED=N)
	SIPURI_SIMULATED_CALLS=10000 $(BIN)/pytest -p no:cacheprovider tests/unit/proxy/test_simulation.py --timeout 1200

soak: .venv/dev  ## calls for an hour, after which nothing has grown and every record is right
	@deploy/need-packages espeak-ng
	@$(BIN)/python -m tests.soak.calls

soak-media: .venv/dev  ## 100,000 short sessions through the relay, after which it holds nothing (root; some minutes)
	@deploy/need-packages iproute2 nftables
	@$(BIN)/python -m tests.soak.media_sessions

chaos: .venv/dev  ## calls while every role dies, stops, drains or starves: what each costs, on one host and on two (root; half an hour)
	@deploy/need-packages espeak-ng iproute2 nftables postgresql redis-server bind9 bind9-dnsutils
	@$(BIN)/python -m tests.chaos

fuzz: .venv/dev  ## a million damaged messages, headers, digests and descriptions (some minutes)
	@$(BIN)/python -m tests.fuzz --inputs 1000000

fuzz-media: .venv/dev  ## a million damaged ng commands, descriptions and packets (ten minutes)
	@$(BIN)/python -m tests.fuzz --inputs 1000000 --target ng --target sdp --target rtp --target rtcp

fuzz-api: .venv/dev  ## thousands of requests made from openapi.json (some minutes)
	@rm -f var/fuzz-api.txt; mkdir -p var
	SIPURI_FUZZ_EXAMPLES=60 SIPURI_FUZZ_REPORT=$(CURDIR)/var/fuzz-api.txt $(BIN)/pytest -n 2 tests/contract/test_schema_fuzz.py
	@awk '{sent += $$1; if ($$2 >= 500) bad += $$1} END {print sent " requests, " bad + 0 " answered 5xx"}' var/fuzz-api.txt

bench-api: .venv/dev  ## lists of a huge account beside those of a small one (some minutes)
	@$(BIN)/python -m bench.api

bench-flood: .venv/dev  ## strangers by the thousand beside a few callers (some minutes)
	@deploy/need-packages sip-tester nftables
	@$(BIN)/python -m bench.flood

bench-media: .venv/dev  ## packets beside plain forwarding and rtpengine (root; half an hour)
	@deploy/need-packages iproute2 nftables rtpengine-daemon
	@$(BIN)/python -m bench.media

bench-orders: .venv/dev  ## how soon a call does what the API orders (a minute)
	@deploy/need-packages espeak-ng postgresql redis-server
	@$(BIN)/python -m bench.orders

bench-console: .venv/dev  ## the console's pages over a million calls, on SQLite and PostgreSQL (some minutes, 10 GB of disk)
	@deploy/need-packages postgresql
	@$(BIN)/python -m bench.console

bench-speech: .venv/dev  ## the first words of a natural voice (half a minute)
	@$(BIN)/python -m bench.speech

bench-strangers: .venv/dev  ## what 15,000 strangers cost an SQLite database (two minutes)
	@$(BIN)/python -m bench.strangers

bench-signalling: .venv/dev  ## calls beside Kamailio, rtpengine and PostgreSQL (a quarter of an hour)
	@deploy/need-packages sip-tester postgresql kamailio kamailio-postgres-modules rtpengine-daemon
	@$(BIN)/python -m bench.signalling

bench-voice: .venv/dev  ## calls that play, record, stream and are encrypted, beside baresip (twenty minutes)
	@deploy/need-packages baresip
	@$(BIN)/python -m bench.voice

pictures: .venv/dev  ## the pictures of docs/console.md, of a system with made-up customers and real calls (root; two minutes)
	@deploy/need-packages chromium espeak-ng iproute2
	@mkdir -p docs/images
	SIPURI_SCREENSHOTS=$(CURDIR)/docs/images $(BIN)/pytest -n 0 tests/browser/test_tasks.py

openapi: .venv/dev  ## write openapi.json anew
	$(BIN)/python manage.py spectacular --format openapi-json --validate --fail-on-warn --file openapi.json

clean:  ## remove the virtual environment and all state
	rm -rf .venv var

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it with PYTHON=." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || deploy/need-packages python3-venv
	@$(PYTHON) -m venv .venv

.venv/demo: pyproject.toml | .venv/bin/python
	@echo "Installing the Python packages (about a minute)"
	@$(PIP) --editable '.[demo]'
	@touch $@

.venv/dev: pyproject.toml | .venv/bin/python
	@echo "Installing the Python packages (about a minute)"
	@$(PIP) --editable '.[dev]'
	@touch $@ .venv/demo
