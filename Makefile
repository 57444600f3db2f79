# Everything below needs only Python 3.11 or newer on PATH (or PYTHON=/path/to/it); `setup` makes its own environment in .venv.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow check golden bench evidence view

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
# The viewer library must not look for a screen or a sound card in tests and headless runs.
export SDL_VIDEODRIVER ?= dummy
export SDL_AUDIODRIVER ?= dummy
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help:  ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP)  ## Make .venv and install the package with the tested versions

$(STAMP): pyproject.toml constraints.txt
	@set -e; found="$(PYTHON)"; \
	if [ ! -x $(BIN)/python ]; then \
	  for candidate in $$found python3.11 python3.12 python3.13 python3.14 python3 python; do \
	    if "$$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	      found="$$candidate"; break; fi; found=""; done; \
	  if [ -z "$$found" ]; then \
	    echo "No Python 3.11 or newer with venv on PATH: install one (Debian: python3 python3-venv), or name it: make setup PYTHON=/path/to/python" >&2; \
	    exit 1; fi; \
	  "$$found" -m venv $(VENV); fi
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup  ## Run a four-way stop into out/demo
	$(BIN)/avstack run four_way_stop --seeds 0..2 --out out/demo --overwrite --picture out/demo/picture.png || [ $$? -eq 1 ]
	@echo "Recordings: $(CURDIR)/out/demo"
	@echo "Picture:    $(CURDIR)/out/demo/picture.png"

# The simulator's tests run a second time with bounds checks: compiled kernels have none by default.
test: setup  ## Run the test suite (the slow tests are in test-slow)
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m sim.warm
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest -n $(WORKERS) -m 'not slow' tests/sim
	$(BIN)/python -m sim.warm
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not slow'

test-slow: setup  ## Run the slow tests
	$(BIN)/python -m pytest -n $(WORKERS) -m slow

check: setup  ## Formatting, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

golden: setup  ## Run the golden episodes, say which changed, and take them as the new ones
	$(BIN)/python -m tests.golden.traces

# Two hours at a time: `make evidence` again goes on, until it says that nothing is left.
HOURS ?= 2
evidence: setup  ## Run the whole evidence of a commit into out/evidence
	$(BIN)/avstack evidence --out out/evidence --hours $(HOURS)

bench: setup  ## Measure how fast the simulator is on this machine
	$(BIN)/avstack bench sim

view: setup  ## Watch a four-way stop and drive in it (needs a display)
	env -u SDL_VIDEODRIVER $(BIN)/avstack view four_way_chicken --driver joint
