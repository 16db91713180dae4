# The two commands of the README are `make run` and `make test`.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: .venv/run.done ## set up, then open the demo on http://127.0.0.1:7860
	$(BIN)/python app.py

test: .venv/dev.done .venv/browser.done check ## set up, then run everything
	$(BIN)/python -m pytest

check: .venv/dev.done ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -f mobilesam/web/*.pyi  # gradio writes them beside its subclasses; mypy would read them instead
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev.done .venv/browser.done ## measure against the original: one table, one picture (12 minutes)
	$(BIN)/python -m benchmarks.latency --picture docs/latency.png --json benchmarks/latency.json

growth: .venv/dev.done ## measure how cost grows with photos, prompts and visitors (4 minutes)
	$(BIN)/python -m benchmarks.growth --json benchmarks/growth.json

load: .venv/dev.done ## measure 1, 10, 50 and 200 visitors at once on the real app (8 minutes)
	$(BIN)/python -m benchmarks.load --json benchmarks/load.json --picture docs/load.png

memory: .venv/dev.done ## measure memory over 1,000 photos and 10,000 clicks (20 minutes)
	$(BIN)/python -m benchmarks.memory --json benchmarks/memory.json --picture docs/memory.png

hostile: .venv/dev.done ## send hundreds of bad and huge files to the real app (5 minutes)
	PYTHONPATH=. $(BIN)/python -m benchmarks.hostile --json benchmarks/hostile.json

# Strict: what the service does not know counts as not audited, and never as sound.
audit: .venv/run.done .venv/audit.done ## look up known vulnerabilities of the installed packages (asks pypi.org)
	@.venv/audit/bin/pip-audit --strict --progress-spinner off \
	  --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
	|| { echo "Not audited in full: the lines above name a vulnerability, or say that pypi.org could not be asked."; exit 1; }

clean: ## remove what the other targets made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.venv/run.done: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -r requirements.txt
	touch $@

.venv/dev.done: requirements.txt requirements-dev.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch .venv/run.done $@

# In an environment of its own, so that it audits the demo's packages and not itself.
.venv/audit.done: .venv/run.done requirements-audit.txt
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/pip install --quiet -r requirements-audit.txt
	touch $@

# The browser tests drive the system's Chromium; on Debian and Ubuntu it comes by apt.
.venv/browser.done: .venv/dev.done
	command -v chromium || (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium)
	touch $@

.PHONY: help run test check bench growth load memory hostile audit clean
