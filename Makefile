# Needs make and Python 3.11 or newer; everything else is installed into .venv, pinned by constraints.txt.
#   make demo [ARGS=…]   the whole thing against simulated vendors
#   make test [ARGS=…]   all tests, or `make test ARGS="core/tests -k journal"`
#   make crash           the crash matrix in full: a death at each place that a run reaches
#   make kill            the test of random kills at its full size: 30 kills under 200 deals
#   make mutants         each guard taken away in turn: its tests must fail
#   make chaos [SEEDS=1000] [SEED=17]   seeded faults at every vendor, in thousands of ways; SEED repeats one
#   make reliability     the tests of crashes, cuts, outages and several processes at their full size: twenty minutes
#   make bench           what it takes and how quick it is, in short; bench/README.md says what is measured
#   make record          the recorded replies in tests/cassettes anew; tests/cassettes/README.md says against what
#   make docs        the documentation as a site, in site/; make docs ARGS=serve shows it while it is written
#   make screenshots     the pictures in docs/images anew; needs Chromium
#   make check           style, types, import rules
#   make fmt             format, and fix what can be fixed
#   make install         .venv with all of it

VENV ?= .venv
BIN := $(VENV)/bin
PROJECTS := $(wildcard sdk/pyproject.toml core/pyproject.toml plugins/*/pyproject.toml)
MEMBERS := $(patsubst %/pyproject.toml,%,$(PROJECTS))
SOURCES := $(addsuffix /src,$(MEMBERS)) $(wildcard server.py)
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
DEV_TOOLS := import tomllib; print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"]))
OLD_ENOUGH := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))

.DEFAULT_GOAL := help
.PHONY: help install demo test crash mutants kill chaos reliability bench record docs screenshots check fmt
SEEDS ?= 1000
# Most tests of whole servers wait for something half of the time.
WORKERS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))

help:
	@sed -n 's/^#   //p' Makefile

install: $(VENV)/.dev

demo: $(VENV)/.runtime
	@$(BIN)/crossdock demo $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

crash: $(VENV)/.dev
	CROSSDOCK_TEST_CRASHES=all $(BIN)/python -m pytest tests/reliability/test_crashes.py -n $(WORKERS) --dist worksteal $(ARGS)

mutants: $(VENV)/.dev
	$(BIN)/python tests/support/mutants.py $(ARGS)

kill: $(VENV)/.dev
	CROSSDOCK_TEST_DEALS=200 CROSSDOCK_TEST_KILLS=30 $(BIN)/python -m pytest tests/e2e/test_kill.py $(ARGS)

chaos: $(VENV)/.dev
	@PYTHONPATH=tests/support $(BIN)/python -m chaos.run $(if $(SEED),--seed $(SEED),--seeds $(SEEDS)) $(ARGS)

reliability: $(VENV)/.dev
	CROSSDOCK_TEST_CUTS=5000 CROSSDOCK_TEST_SHARED_EVENTS=200 CROSSDOCK_TEST_PROCESSES=4 CROSSDOCK_TEST_STRIDE=1 \
	CROSSDOCK_TEST_MISSED=1000 CROSSDOCK_TEST_PAYMENTS=200 CROSSDOCK_TEST_POLLED_DEALS=200 \
	CROSSDOCK_TEST_TOKEN_DEALS=100 CROSSDOCK_TEST_EXPIRIES=9 CROSSDOCK_TEST_OUTAGE=1000 \
	  $(BIN)/python -m pytest tests/reliability $(ARGS)

bench: $(VENV)/.dev
	$(BIN)/python bench/results.py --short $(ARGS)

record: $(VENV)/.dev
	CROSSDOCK_RECORD=1 $(BIN)/python -m pytest tests/test_cassettes.py $(ARGS)

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs $(or $(ARGS),build --strict --quiet)

screenshots: $(VENV)/.dev
	PYTHONPATH=tests/support $(BIN)/python tests/support/screenshots.py

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports

fmt: $(VENV)/.dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

$(BIN)/python:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14 python; do \
	  if $$python -c '$(OLD_ENOUGH)' 2>/dev/null; then exec $$python -m venv --clear $(VENV); fi; \
	done; \
	echo "No Python 3.11 or newer with venv was found: install one (Debian: python3 and python3-venv), or name it: make PYTHON=/path/to/python" >&2; \
	exit 1

# The build backend comes first, pinned like the rest: isolated builds would fetch their own for every member.
$(VENV)/.runtime: $(PROJECTS) constraints.txt | $(BIN)/python
	@echo "Installing Crossdock into $(VENV) …" >&2
	@$(PIP) install -c constraints.txt hatchling editables
	@$(PIP) install -c constraints.txt --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime pyproject.toml
	@echo "Installing the development tools …" >&2
	@$(BIN)/python -c '$(DEV_TOOLS)' > $(VENV)/dev.txt
	@$(PIP) install -c constraints.txt -r $(VENV)/dev.txt
	@touch $@
