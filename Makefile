# `make quickstart` and `make test` on a bare machine: each makes the virtual environment it needs.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
ARGS ?=

.PHONY: quickstart test slow lint clean

# Generate a dataset, train an operator on it, roll it out against the truth, write the report. SHORT=1: the same path in under a minute.
quickstart: $(VENV)/.core
	$(BIN)/python train.py experiment=$(if $(SHORT),quickstart_short,quickstart) $(ARGS)

test: $(VENV)/.dev
	$(BIN)/pytest -m "not slow" --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

# The tests that take minutes.
slow: $(VENV)/.dev
	$(BIN)/pytest -m slow $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "rollwave needs Python >= 3.11 (with venv); none of python3, python3.13, python3.12, python3.11 is. Name one: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.core

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
