# Two commands for newcomers, demo and test; each sets up all it needs. `make check` is the developer's loop.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
PY := $(VENV)/bin/python
OUT ?= out
export OMP_NUM_THREADS ?= 2
export TOKENIZERS_PARALLELISM = false

.PHONY: demo test check fast slow lint types imports bench setup setup-dev clean

demo: $(VENV)/.demo  ## answer a spoken question about a photograph, in text and in speech, into out/
	$(PY) -m mmagent fetch pocket
	$(PY) -m mmagent run --in examples/photo.png --in examples/question.wav --force speech --out $(OUT)

test: $(VENV)/.dev  ## everything, real weights included
	$(PY) -m mmagent fetch pocket
	$(PY) -m pytest -q

check: $(VENV)/.dev lint types fast  ## format, lint, types, import direction, fast tests

lint:
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .

types:
	$(PY) -m mypy

fast:
	$(PY) -m pytest -q -m "not weights and not slow and not library"

bench: $(VENV)/.bench  ## the engine against its peers, tools against libraries, training against a plain loop; fails when a bar is missed
	$(PY) benchmarks/engine.py
	$(PY) benchmarks/adapters.py
	$(PY) benchmarks/training.py

setup: $(VENV)/.demo
setup-dev: $(VENV)/.dev

# Where the platform has a CPU build of torch, that one: it is ten times smaller than the CUDA build.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mmagent needs Python 3.11 or later, and $(PYTHON) is older: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade "pip>=24"

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	sh scripts/install-torch $(PY)
	$(PY) -m pip install --quiet --constraint constraints.txt --editable ".[pocket]"
	touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(PY) -m pip install --quiet --constraint constraints.txt --editable ".[pocket,dev]"
	touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(PY) -m pip install --quiet --constraint constraints.txt --editable ".[pocket,dev,bench]"
	touch $@

clean:
	rm -rf $(VENV) $(OUT) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
