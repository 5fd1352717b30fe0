# make setup · serve · test · lint · bench · clean      (variables: STUDIES, HOST, PORT)
PYTHON  ?= python3.11
VENV    := .venv
BIN     := $(VENV)/bin
STUDIES ?= sample-data/cases
HOST    ?= 127.0.0.1
PORT    ?= 8000

.PHONY: setup serve test lint bench clean

setup: $(VENV)/.installed

# --no-compile keeps the environment small; Python compiles what it imports at first use.
$(VENV)/.installed: requirements.txt requirements-nodeps.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11, or say make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-compile --no-deps -r requirements-nodeps.txt
	$(BIN)/python -m pip install --quiet --no-compile --no-deps --no-build-isolation --editable .
	touch $@

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) sample-data/cases .pytest_cache .ruff_cache .mypy_cache
