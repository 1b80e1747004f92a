# make bench   measure: suite `quick`, charts, the answer      make test    the tests
# make check   lint, format, types                             make clean   remove what the above made

PYTHON ?= python3
BIN := .venv/bin

# Hundreds of processes import the same modules: they are compiled once, even where the environment forbids it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: bench test check clean

bench: .venv/ready
	$(BIN)/python bench.py run quick

# First what may share the machine, file by file on all cores; then, one after the other, what depends on times.
test: .venv/ready
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not alone"
	$(BIN)/python -m pytest -m alone

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Made anew only when what it is made from changes.
.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Loopwise needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@echo "Making .venv (once; about a minute)"
	@$(PYTHON) -m venv .venv
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
