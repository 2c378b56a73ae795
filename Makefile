# Everything a newcomer types. Needs Python 3.11+, make and git; the rest is fetched into .tools/ and .venv/.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
TOOLS := .tools
UV := $(shell command -v uv 2>/dev/null || echo $(TOOLS)/bin/uv)
BIN := .venv/bin
MANAGE := $(BIN)/python manage.py
PACKAGES := platform/isthmus credentials callouts events apexrest records crm examples

.PHONY: help setup run demo test check format bench lock pictures clean

help: ## Show what can be typed
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: .venv/.installed ## Make the environment in .venv/, nothing else

$(TOOLS)/bin/uv:
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/pip install --quiet --disable-pip-version-check uv

.venv/.installed: requirements.lock pyproject.toml | $(UV)
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	@# Compiled once here: otherwise every process compiles two thousand modules where Python may not keep them.
	@$(UV) pip sync --quiet --require-hashes --compile-bytecode requirements.lock
	@$(UV) pip install --quiet --no-deps --editable .
	@touch $@

lock: | $(UV) ## Choose new versions of everything within the bounds of pyproject.toml
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --all-extras --group dev --output-file requirements.lock --upgrade pyproject.toml

run: setup ## Start everything with demo data; Ctrl-C stops all
	@$(MANAGE) run_demo

demo: setup ## Walk the main job once, end to end, against real local programs
	@$(BIN)/python -m examples.demo

# Servers and clients by other authors that tests talk to; without npm those tests are left out, saying so.
tests/peers/node_modules/.installed: tests/peers/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix tests/peers --ignore-scripts --no-audit --no-fund --silent && touch $@; \
	else echo "!! npm was not found: tests against other people's servers are left out."; fi

# Swagger 2.0 documents out of Debian's packages; elsewhere tests with them are left out.
tests/peers/swagger_documents: tests/peers/swagger_documents.sh
	@bash $<

test: setup tests/peers/node_modules/.installed tests/peers/swagger_documents ## Run every test that can run on this machine, on each database that is there
	@$(BIN)/python -m tests.run

check: setup ## Format, lint, types, import contracts, migrations, production settings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(MANAGE) makemigrations --check --dry-run
	@set -o pipefail; env $$($(BIN)/python -m isthmus.keys) ISTHMUS_ENVIRONMENT=production ALLOWED_HOSTS=isthmus.example.org \
	  ISTHMUS_BASE_URL=https://isthmus.example.org $(MANAGE) check --deploy --fail-level WARNING

format: setup ## Put the code into its shape
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix --show-fixes .

bench: setup tests/peers/node_modules/.installed tests/peers/swagger_documents ## Measure, as ratios against a peer in the same run
	@for script in bench/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

pictures: setup ## Take the pictures of the console's pages for the documentation anew
	@$(BIN)/python -m pytest -q -n 0 -p no:randomly tests/browser/pictures.py

clean: ## Remove what the other targets made
	@rm -rf .venv $(TOOLS) .data tests/peers/node_modules tests/peers/swagger_documents
