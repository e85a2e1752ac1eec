# Two commands matter: `make leaderboard` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOPING := $(VENV)/.developing
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock
SHELL := /bin/bash
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: leaderboard test test-slow test-all lint bench reference lock setup clean

leaderboard: $(INSTALLED)
	@molcryst profile
	@molcryst repro
	@molcryst report --show

# A test that waits for ever fails after so many seconds, with a traceback of every thread.
test: $(DEVELOPING)
	@pytest --numprocesses 2 --timeout 300 -m "not slow"

test-slow: $(DEVELOPING)
	@pytest --numprocesses 2 --timeout 1500 -m slow

test-all: $(DEVELOPING)
	@pytest --numprocesses 2 --timeout 1500

lint: $(DEVELOPING)
	@ruff check . && ruff format --check . && mypy && lint-imports

bench: $(DEVELOPING)
	@python -m benchmarks

# Every public name with its docstring, as pages in reference/.
reference: $(DEVELOPING)
	@pdoc --docformat google --no-show-source --no-search --output-directory reference \
		$(addprefix molcryst_bench.,base sources graphs models training tuning bench dynamics interpret report)

setup: $(DEVELOPING)

# What a user needs; a developer also gets the tools and the peers that tests compare with.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"molcryst_bench needs Python 3.11 to 3.13, {sys.executable} is {v[0]}.{v[1]}: run make PYTHON=/path/to/python3.12")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo "Installing the versions of requirements.lock into $(VENV) (a few minutes the first time) ..."
	@$(INSTALL) --editable .
	@touch $@

$(DEVELOPING): $(INSTALLED)
	@$(INSTALL) --editable ".[dev,parsl,ray,s3]"
	@touch $@

# Resolves for every supported Python and platform at once; run after changing pyproject.toml.
lock:
	@test -x .venv-lock/bin/uv || ($(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv)
	@.venv-lock/bin/uv pip compile --quiet --universal --all-extras --no-annotate --custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .venv-lock reference datasets/*/store.zarr datasets/*/quarantine.parquet
	@# What others have submitted is no result of ours, and stays.
	@if [ -d leaderboard ]; then find leaderboard -mindepth 1 -maxdepth 1 ! -name submissions -exec rm -rf {} +; fi
