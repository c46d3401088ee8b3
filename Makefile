# `make demo` and `make test` are all that a newcomer needs; both make .venv first if it is missing.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin
# Much of a test is one process that imports TensorFlow: two at a time use both cores of a small machine.
PYTEST := $(BIN)/python -m pytest -n $(or $(WORKERS),2) --dist loadfile
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

.PHONY: help venv demo test test-fast lint lock benchmarks clean

help:  ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

venv:  ## Make .venv from the lock file, or leave it if it is whole
	@$(PYTHON) deploy/setup/create_venv.py

demo: venv  ## Train on real reviews, gate, push, serve and ask (workspace/reviews)
	@$(BIN)/attention demo

test: venv lint  ## Lint, import contracts, types and all tests
	@$(PYTEST) --durations=20

test-fast: venv  ## The tests that need no whole pipeline, server, training, executor or kill (3 minutes)
	@$(PYTEST) -m "not slow" -q

lint: venv
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	@$(BIN)/mypy

lock: venv  ## Renew the lock files from setup.py's ranges
	@$(BIN)/uv pip compile deploy/setup/bootstrap.in --universal --python-version 3.11 --generate-hashes --no-header --upgrade -q -o deploy/setup/bootstrap.lock
	@$(BIN)/uv pip compile setup.py --extra dev --universal --python-version 3.11 --generate-hashes --no-header --upgrade -q -o deploy/setup/requirements.lock
	@$(BIN)/uv pip compile deploy/container/gpu.in -c deploy/setup/requirements.lock --python-version 3.11 --python-platform x86_64-manylinux_2_39 --generate-hashes --no-header --no-annotate --upgrade -q -o deploy/container/gpu.lock
	@$(BIN)/uv pip compile deploy/container/sbom.in --python-version 3.11 --python-platform x86_64-manylinux_2_39 --generate-hashes --no-header --no-annotate --upgrade -q -o deploy/container/sbom.lock

benchmarks: venv  ## Peers side by side (quick sizes)
	@$(BIN)/python -m benchmarks.ingestion --quick
	@$(BIN)/python -m benchmarks.quality
	@test -d workspace/reviews/serving/reviews || $(BIN)/attention run reviews
	@$(BIN)/python -m benchmarks.serving workspace/reviews/serving/reviews --seconds 2

clean:  ## Remove .venv and caches; workspaces stay
	@rm -rf .venv .venv.lock .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
