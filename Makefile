# The commands of this repository. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= $(firstword $(wildcard /usr/bin/python3 /usr/bin/python3.13 /usr/bin/python3.11) python3)
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
IMAGE  ?= debian-13
PLAN   ?= examples/hello/plan.yml
PYTEST := $(BIN)/python -m pytest

.PHONY: help setup test test-unit test-action test-bench test-machines test-installer test-kvm test-site bench soak faults \
	bench-images requirements test-e2e-kvm test-e2e-vps check-kvm-prerequisites image site lint format clean

help: ## list the commands
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-26s %s\n", $$1, $$2}'

setup: .host $(STAMP) ## install what is missing: system packages (sudo), then the Python environment

.PHONY: .host .host-rdp .host-tests .host-machines .host-bench .host-site
.host:
	@tools/host-packages run

.host-action:
	@tools/host-packages run action

.host-tests:
	@tools/host-packages run test

.host-machines: .host-tests
	@tools/host-packages machines

.host-site:
	@command -v npm >/dev/null || tools/host-packages site

.host-rdp:
	@tools/host-packages rdp

.host-bench:
	@tools/host-packages run bench

$(STAMP): pyproject.toml tools/host-packages | .host
	@echo "making the Python environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

image: setup ## build the base image if the store has none (IMAGE=debian-13)
	@$(BIN)/kvm-e2e image build $(IMAGE)

test-e2e-kvm: setup image ## boot a real machine, run examples/hello through all steps, show the report
	@$(BIN)/kvm-e2e run $(PLAN) --image $(IMAGE)

test-e2e-vps: .host-rdp setup image ## make a remote workstation of a bare server, and check it by RDP (long in emulation)
	@$(BIN)/kvm-e2e run examples/vps/plan.yml --image $(IMAGE)

check-kvm-prerequisites: setup ## look at this host (kvm-e2e doctor)
	@$(BIN)/kvm-e2e doctor

test: .host-tests setup lint ## the test suite, real machines included
	$(PYTEST) tests --durations 25 --durations-min 5

test-unit: setup ## the tests that need no machine (seconds)
	$(PYTEST) tests/unit tests/test_architecture.py

test-bench: .host-tests setup ## both backends measured in turn by a real bench (ten minutes in emulation)
	$(PYTEST) tests/e2e/test_docker_runs.py -m slow

test-machines: .host-machines setup ## the real runs that are too slow for `make test` (hours in emulation)
	$(PYTEST) tests/e2e -m 'slow and not installer'

faults: .host-machines setup ## every fault that the guide's table shows, for real; the runs go to history/examples (hours in emulation)
	KVM_E2E_TEST_RUNS=history/examples $(PYTEST) tests/e2e -m 'slow or not slow' \
	    -k "$$(PYTHONPATH=tests $(BIN)/python -m fault_rows)"

test-installer: .host-tests setup ## Debian's own installer: a whole installation, then a run on it (up to an hour in emulation)
	$(PYTEST) tests/e2e/test_installer.py -m installer

# Both Debians unless one is named: its own default is not meant here.
RIGS := $(if $(filter command line environment,$(origin IMAGE)),$(IMAGE))

test-kvm: .host-tests setup ## real KVM, in an emulated runner that the runner page's own commands set up; IMAGE=debian-12 for one (an hour each)
	PYTHONPATH=tests:. $(BIN)/python -m rig $(RIGS)

test-site: .host-tests .host-site setup ## the site in a real browser: every page, from http and from a disk (three minutes)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,browser]'
	$(PYTEST) tests/site -m browser

# In a job's container the checkout is another user's, which git refuses; the branch would be left out unseen.
GIT := git -c safe.directory="$(CURDIR)"

site: .host-site setup ## make _site/ of history/, of the branch kvm-e2e-history if there is one, and of site/
	@rm -rf build/history && mkdir -p build && cp -R history build/history
	@if $(GIT) rev-parse --quiet --verify origin/kvm-e2e-history >/dev/null; then \
	    $(GIT) archive origin/kvm-e2e-history | tar --extract --directory build/history --skip-old-files; fi
	@$(BIN)/kvm-e2e site build --strict --in build/history

bench: .host-bench setup ## the tool beside what it is measured by; ROWS="copy hello" for some (10 minutes in emulation)
	PYTHONPATH=tests $(BIN)/python -m benchmarks $(ROWS)

bench-images: .host-bench setup ## how long an image takes to build (minutes each)
	PYTHONPATH=tests $(BIN)/python -m benchmarks image-build image-build-uefi

RUNS ?= 200
MINUTES ?= 15

soak: .host-tests setup image ## many runs, in a row and side by side: does one fail, does anything grow? (RUNS=200 MINUTES=15)
	PYTHONPATH=tests IMAGE=$(IMAGE) $(BIN)/python -m benchmarks.soak --runs $(RUNS) --minutes $(MINUTES)

ACTION_TESTS := build/action-tests/.installed

$(ACTION_TESTS): tests/action/package.json pyproject.toml $(STAMP)
	@echo "installing what the tests of the action need: act, linters, GitHub's own parser"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,action]'
	@mkdir -p $(@D) && cp tests/action/package.json $(@D)/
	@cd $(@D) && npm install --silent --no-package-lock --no-audit --no-fund
	@touch $@

test-action: .host-action setup $(ACTION_TESTS) ## the GitHub action: act, real machines, GitHub's parser, linters (10 minutes)
	$(PYTEST) tests/action -m action

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11

requirements: .host-action $(ACTION_TESTS) ## lock the action's Python packages anew, with hashes
	$(LOCK) pyproject.toml --output-file tools/requirements.txt
	@printf 'setuptools\nwheel\n' | $(LOCK) --no-annotate - --output-file tools/requirements-build.txt

lint: setup ## ruff, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## let ruff format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment, caches and results; images and machines stay
	rm -rf $(VENV) _site build dist *.egg-info kvm-e2e-results .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
