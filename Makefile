# Every verb of this repository. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# In import order, as pyproject.toml lists them.
PACKAGES := model store collectors detectors correlator incident_bridge runbooks console pipeline
CODE := $(PACKAGES) tests benchmarks .ci/smoke.py .ci/pictures.py
# The first interpreter that is new enough and can make an environment; or say `make PYTHON=/path/to/python setup`.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo "$$python"; break; }; done)

.PHONY: help setup demo run fmt lint types test integration smoke check docs pictures bench lock clean

help: ## list the verbs
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/dev.stamp ## make .venv with everything, at the pinned versions

demo: $(VENV)/base.stamp ## a real small shop, real faults, and what Tocsin makes of them
	@$(BIN)/tocsin demo

run: $(VENV)/base.stamp ## run on this machine with config/
	@$(BIN)/tocsin run --config config

fmt: $(VENV)/dev.stamp ## format the code
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

lint: $(VENV)/dev.stamp ## format and lint rules hold
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)

types: $(VENV)/dev.stamp ## mypy, strict
	@$(BIN)/mypy $(PACKAGES:%=-p %) -p benchmarks -p tests

test: $(VENV)/dev.stamp ## unit tests, doctests, scenarios, rules
	@$(BIN)/pytest -q -m "not integration"

integration: $(VENV)/dev.stamp ## tests against real servers and a real browser
	@tests/integration/install.sh
	@$(BIN)/pytest -q -m integration tests/integration

smoke: $(VENV)/dev.stamp ## install as a user would, elsewhere, and run it
	@$(BIN)/python .ci/smoke.py

check: lint types test smoke ## what CI runs (with `make integration`)

docs: $(VENV)/dev.stamp ## write the generated pages of docs/
	@$(BIN)/python -m pipeline.docs docs

pictures: $(VENV)/dev.stamp ## take the pictures of docs/ from a running demo
	@$(BIN)/python .ci/pictures.py

bench: $(VENV)/peers.stamp ## run every benchmark, beside its peers
	@for name in $$(grep -l '^from benchmarks.report import' benchmarks/*.py | xargs -n 1 basename -s .py); do \
		echo "== $$name"; $(BIN)/python -m "benchmarks.$$name"; done

lock: $(VENV)/dev.stamp ## pin requirements/*.in again, with hashes
	@for name in base build dev peers; do $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		"requirements/$$name.in" -o "requirements/$$name.txt"; done

clean: ## remove everything that was made, but data/
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
		echo "Tocsin needs Python 3.11 or newer with venv (on Debian and Ubuntu: apt install python3 python3-venv)." >&2; \
		echo "Found: $$(python3 --version 2>&1 || true). To use another: make PYTHON=/path/to/python setup" >&2; \
		exit 1; \
	fi; \
	"$$python" -m venv $(VENV)

# What it runs on, and itself. The order-only prerequisite keeps pip's own upgrades from asking for more.
$(VENV)/base.stamp: requirements/base.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "installing into $(VENV) (once; a minute or so)"
	@$(PIP) install --require-hashes -r requirements/base.txt -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# Who it is measured against.
$(VENV)/peers.stamp: requirements/peers.txt $(VENV)/dev.stamp
	@$(PIP) install --require-hashes -r requirements/peers.txt
	@touch $@

# What it is built with.
$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/base.stamp
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@
