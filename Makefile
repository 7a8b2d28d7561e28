# Everything sets itself up: `make test` on a bare machine with Python >= 3.11, Go and kubectl is enough.
# Stamps make a second call quick; delete .stamps and .venv to start over.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .stamps
PYTEST := $(BIN)/pytest
# Two workers beside one shared control plane: more would only queue at its two cores.
JOBS ?= 2
# make simulate: how many histories, and from which seed.
N ?= 20000
SEED ?= 1

.DEFAULT_GOAL := help
.PHONY: help install lint format unit test simulate year demo bench generate lock controlplane chromium prometheus screenshots clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(STAMPS)/install ## .venv with .venv/bin/keywright

$(STAMPS)/venv: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "keywright needs Python 3.11 or newer: run make PYTHON=python3.11" >&2; exit 1; }
	@echo "installing the locked dependencies into $(VENV) (about a minute the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/install: $(STAMPS)/venv pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

controlplane: install ## the control plane's binaries: found, or built once (about 8 minutes; WITH_VAULT=1: 13)
	@$(BIN)/keywright devcluster build $(if $(WITH_VAULT),--with-vault)

lint: install ## ruff, mypy, the directions between rooms, generated files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: install ## ruff's own corrections
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

unit: install ## tests that need no control plane
	@$(PYTEST) -q -p no:schemathesis -m "not plane and not slow" -n $(JOBS)

chromium: ## a browser for the console's tests: installed from Debian where root may, else those tests are skipped
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && echo "installing Debian's chromium" && apt-get update -qq \
	    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
	  || echo "without a browser the console's tests in it are skipped: apt-get install chromium"

prometheus: ## promtool and Prometheus for the tests: Debian's, unpacked and not installed; else those tests are skipped
	@command -v promtool >/dev/null || test -x $(STAMPS)/tools/promtool \
	  || { mkdir -p $(STAMPS)/tools && cd $(STAMPS)/tools && { [ "$$(id -u)" != 0 ] || apt-get update -qq; } \
	    && apt-get download -qq prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb \
	      | tar -x --strip-components=3 ./usr/bin/promtool ./usr/bin/prometheus && rm prometheus_*.deb; } \
	  || echo "without promtool the alert rules' tests are skipped: apt-get install prometheus"

screenshots: install chromium ## docs/console/*.png anew
	@KEYWRIGHT_SCREENSHOTS=docs/console $(PYTEST) -q -p no:schemathesis -n 0 tests/sandbox/test_console_looks.py -k pictures

test: WITH_VAULT := 1
test: install controlplane chromium prometheus ## every test, on the real control plane with a real Vault
	@$(PYTEST) -q -n $(JOBS) --dist loadgroup --no-loadscope-reorder

simulate: install ## N histories of the simulation from SEED on; the last line is the verdict
	@$(BIN)/python -m tests.simulation.run $(N) $(SEED)

year: install ## docs/year.svg: a thousand keys through 2028, by the planner's own arithmetic
	@$(BIN)/python -m tests.planning.year

demo: install controlplane ## the whole life of a few keys on this machine; WITH_VAULT=1: one of them in Vault
	@$(BIN)/keywright demo $(if $(WITH_VAULT),--with-vault) $(DEMO)

bench: install controlplane ## throughput beside the floor of a bare client; a first key beside thousands of broken ones
	@$(BIN)/python benchmarks/issue.py $(BENCH)
	@$(BIN)/python benchmarks/fairness.py

generate: install ## crds/, docs/reasons.md and docs/status.schema.json from the models
	@$(BIN)/python -m keywright.api.crd crds docs

COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet
lock: $(STAMPS)/venv ## requirements.lock anew from pyproject.toml, and image.lock: what of it the operator's image needs
	@$(COMPILE) --extra sandbox --group dev --upgrade --output-file requirements.lock
	@$(COMPILE) --constraints requirements.lock --output-file image.lock

clean: ## what make made
	@rm -rf $(VENV) $(STAMPS) .mypy_cache .ruff_cache .pytest_cache .hypothesis
