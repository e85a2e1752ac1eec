# Two commands matter: `make leaderboard` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SHELL := /bin/bash
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: leaderboard test test-slow test-all lint bench lock setup clean

leaderboard: $(INSTALLED)
	@molcryst profile
	@molcryst repro
	@molcryst report --show

test: $(INSTALLED)
	@pytest -m "not slow"

test-slow: $(INSTALLED)
	@pytest -m slow

test-all: $(INSTALLED)
	@pytest

lint: $(INSTALLED)
	@ruff check . && ruff format --check . && mypy && lint-imports

bench: $(INSTALLED)
	@python -m benchmarks

setup: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"molcryst_bench needs Python 3.11 to 3.13, {sys.executable} is {v[0]}.{v[1]}: run make PYTHON=/path/to/python3.12")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo "Installing requirements.lock into $(VENV) (a few minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# Resolves for every supported Python and platform at once; run after changing pyproject.toml.
lock:
	@test -x .venv-lock/bin/uv || ($(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv)
	@.venv-lock/bin/uv pip compile --quiet --universal --all-extras --no-annotate --custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .venv-lock leaderboard datasets/*/store.zarr datasets/*/quarantine.parquet
