# `make demo` and `make test` need nothing but Python (3.11 or newer) and git: the first call makes
# .venv with everything in it. All targets may be run again at any time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The Python whose torch sees the GPU.
GPU_PYTHON ?= $(BIN)/python

.PHONY: gpu-test gpu-bench demo test quick check fix bench pictures setup clean

demo: $(READY)
	@$(BIN)/inkling demo

test: check
	$(BIN)/python -m pytest

quick: $(READY)
	$(BIN)/python -m pytest -m "not e2e and not editor and not kernel"

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

fix: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# On a machine with a GPU and a CUDA build of torch; what is not installed is left out and said.
gpu-test:
	$(GPU_PYTHON) -m tests.gpu

gpu-bench:
	$(GPU_PYTHON) -m bench.gpu

bench: $(READY)
	$(BIN)/python bench/keystrokes.py

pictures: $(READY)
	$(BIN)/python docs/pictures/make.py

setup: $(READY)

# The project itself is editable: only a change of its dependencies needs a new setup.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable ".[engine]"
	@touch $@

clean:
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
