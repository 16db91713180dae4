# The two commands of the README are `make run` and `make test`.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/run.done ## set up, then open the demo on http://127.0.0.1:7860
	$(BIN)/python app.py

test: $(VENV)/browser.done check ## set up, check, and run all tests
	$(PYTEST)

test-fast: $(VENV)/dev.done node_modules ## the tests to run while working: no browser, no server, no encoder (1 minute)
	$(PYTEST) tests/unit -m "not slow"

test-pythons: ## the fast tests with every Python from 3.11 to 3.14 that is installed
	@for version in 3.11 3.12 3.13 3.14; do \
	  if command -v python$$version >/dev/null; then \
	    $(MAKE) test-fast PYTHON=python$$version VENV=.venv-$$version || exit 1; \
	  else \
	    echo "Python $$version is not installed."; \
	  fi; \
	done

check: $(VENV)/dev.done node_modules ## ruff, mypy, import-linter; ESLint and TypeScript where Node is installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	find mobilesam -name '*.pyi' -delete  # gradio writes them; mypy would read them instead
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if [ -d node_modules/eslint ]; then \
	  npm run --silent lint && npm run --silent types; \
	else \
	  echo "The JavaScript is neither linted nor type-checked, as its tools are not installed."; \
	fi

bench: $(VENV)/dev.done $(VENV)/browser.done ## measure against the original: one table, one picture (12 minutes)
	$(BIN)/python -m benchmarks.latency --picture docs/latency.png --json benchmarks/latency.json

growth: $(VENV)/dev.done ## measure how cost grows with photos, prompts and users (4 minutes)
	$(BIN)/python -m benchmarks.growth --json benchmarks/growth.json

load: $(VENV)/dev.done ## measure 1, 10, 50 and 200 users at once on the real app (8 minutes)
	$(BIN)/python -m benchmarks.load --json benchmarks/load.json --picture docs/load.png

memory: $(VENV)/dev.done ## measure memory over 1,000 photos and 10,000 clicks (20 minutes)
	$(BIN)/python -m benchmarks.memory --json benchmarks/memory.json --picture docs/memory.png

hostile: $(VENV)/dev.done ## send hundreds of bad and huge files to the real app (5 minutes)
	PYTHONPATH=. $(BIN)/python -m benchmarks.hostile --json benchmarks/hostile.json

decoder: $(VENV)/dev.done ## compile the browser's decoder (needed after a change of mobilesam/browser_decoder)
	$(BIN)/python -m mobilesam.browser_decoder.build

# Strict: what the service does not know counts as not audited, and never as sound.
audit: $(VENV)/run.done $(VENV)/audit.done ## look up known vulnerabilities of the installed packages (needs the network)
	@$(VENV)/audit/bin/pip-audit --strict --progress-spinner off \
	  --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
	|| { echo "Not audited in full: the lines above name a vulnerability, or say that the vulnerability service could not be asked."; exit 1; }

clean: ## remove what the other targets made
	rm -rf .venv .venv-3.* node_modules .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(VENV)/run.done: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -r requirements.txt
	touch $@

$(VENV)/dev.done: requirements.txt requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch $(VENV)/run.done $@

# In an environment of its own, so that it audits the demo's packages and not itself.
$(VENV)/audit.done: $(VENV)/run.done requirements-audit.txt
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet -r requirements-audit.txt
	touch $@

# ESLint and TypeScript. Everything works without them, so a failure to install them is only reported.
node_modules: package.json
	@if ! command -v npm >/dev/null; then echo "npm is not installed, so neither are ESLint and TypeScript."; \
	else npm install --no-audit --no-fund --silent && touch $@ || echo "npm could not install ESLint and TypeScript."; fi

# The browser tests drive the system's Chromium; on Debian and Ubuntu it comes by apt. Those of a reverse proxy are
# skipped without nginx, and those of the shared cache without redis-server.
$(VENV)/browser.done: $(VENV)/dev.done
	command -v chromium || (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium)
	command -v nginx || (apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light) \
	  || echo "nginx could not be installed, so the tests of a reverse proxy are skipped."
	command -v redis-server || apt-get install -y -qq --no-install-recommends redis-server \
	  || echo "redis-server could not be installed, so the tests of the shared cache are skipped."
	touch $@

.PHONY: help run test test-fast test-pythons check bench growth load memory hostile decoder audit clean
