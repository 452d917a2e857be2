.DEFAULT_GOAL := help
PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PYTHONSAFEPATH := 1
# Empty is off: without bytecode every role that starts compiles all it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo test e2e check fmt wheel-test bench docs clean

help:  ## list the targets
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check 'pip>=25.1' 'uv>=0.9' -c constraints.txt
	$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -e . --group dev -c constraints.txt
	@touch $@

setup: $(STAMP)  ## make the virtual environment with everything in it

demo: setup  ## run a small agent workload through the service and show what it cost
	$(BIN)/spanledger demo

test: setup  ## run the tests
	$(BIN)/python -P -m pytest -q -n $(WORKERS) --dist loadfile

e2e: setup  ## run only the tests that start the service
	$(BIN)/python -P -m pytest -q -m e2e

check: setup  ## formatting, lint, types and import borders
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: setup  ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel-test: setup  ## build the wheel and run the tests on it in a fresh environment
	rm -rf dist .venv-wheel
	$(BIN)/uv build -q --wheel --python $(BIN)/python
	$(PYTHON) -m venv .venv-wheel
	$(BIN)/uv pip install -q --compile-bytecode --python .venv-wheel/bin/python dist/*.whl --group test -c constraints.txt
	SPANLEDGER_EXPECT_WHEEL=1 .venv-wheel/bin/python -P -m pytest -q \
	    -n $(WORKERS) --dist loadfile

bench: setup  ## print what each stage takes; see tests/bench/README.md
	for name in receive decode price reprice ledger growth end_to_end latency 'kill --rounds 3'; do \
	    set -- $$name; script=tests/bench/$$1.py; shift; \
	    echo "# $$script $$*"; $(BIN)/python -P $$script "$$@" || exit 1; \
	done

docs: setup  ## write the generated pages of docs/
	$(BIN)/python -P -m collector docs docs

clean:  ## remove what the other targets made
	rm -rf $(VENV) .venv-wheel dist build
