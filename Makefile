# Everything a person working on Nuthatch runs. Each target sets up .venv itself when it is missing or stale.
.DEFAULT_GOAL := help
.PHONY: help demo picture test long day check bench simulate crash-images clean force

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& { echo $$p; break; }; done)
BIN := .venv/bin
READY := .venv/ready
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt
SEED ?= 42
SEEDS ?= 500

help:
	@echo 'make demo          three nodes pair, import a conversation, edit it apart and agree'
	@echo 'make picture       the same, drawn into node/demo/demo.svg'
	@echo 'make test          the whole test suite'
	@echo 'make long          what takes seconds a test: long stories, and most of the planted bugs'
	@echo 'make day           a day of three real devices: kills, a restored backup, a copied laptop'
	@echo 'make check         ruff, mypy, the import contracts and the architecture tests'
	@echo 'make simulate      simulations of several stores, SEED=42 SEEDS=500, and every planted bug'
	@echo 'make crash-images  power cuts and failing disks at every write of real stores, and every planted bug'
	@echo 'make bench         the measured figures: a table and bench.json'
	@echo 'make clean         remove caches and results (.venv stays)'

# The stamp holds the folder it was made in: scripts and the editable install break when the folder moves.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
$(READY): force
endif

$(READY): pyproject.toml constraints.txt
	@test -n '$(PYTHON)' || { echo 'Nuthatch needs Python 3.11, 3.12 or 3.13 on the PATH.' >&2; exit 1; }
	@test "$$(cat $(READY) 2>/dev/null)" = '$(CURDIR)' || { echo 'Setting up .venv ...'; $(PYTHON) -m venv --clear .venv; }
	@$(PIP) hatchling
	@$(PIP) --no-build-isolation --editable '.[dev]'
	@echo '$(CURDIR)' > $(READY)

demo: $(READY)
	@$(BIN)/nuthatch demo

picture: $(READY)
	@$(BIN)/nuthatch --json demo | $(BIN)/python -m node.demo.picture node/demo/demo.svg

test: $(READY)
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(PYTEST_ARGUMENTS)

long: $(READY)
	@$(BIN)/python -m pytest -m long --numprocesses auto --maxprocesses 4 --dist loadfile $(PYTEST_ARGUMENTS)

day: $(READY)
	@$(BIN)/python -m pytest -m day $(PYTEST_ARGUMENTS)

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest --quiet tests/architecture

simulate: $(READY)
	@$(BIN)/python -m simulations --seed $(SEED) --seeds $(SEEDS)
	@$(BIN)/python -m simulations --seed 0 --seeds 200 --mutants

crash-images: $(READY)
	@$(BIN)/python -m simulations.crash_images --seed $(SEED) --draws 3
	@$(BIN)/python -m simulations.crash_images --seed $(SEED) --bugs

bench: $(READY)
	@$(BIN)/python -m simulations.bench

clean:
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist bench.json
	find . -path ./.venv -prune -o -type d -name __pycache__ -print0 | xargs -0 rm -rf
