# make demo    set up, then the main job on embedded data, offline
# make test    set up, then every test
# make check   lint, types, import contracts, tests: what CI runs
# make docs    render the tables of README and docs from docs/results/
# make speed   measure training speed against plain scripts (needs a quiet machine)
# make format  let ruff mend what it can

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: venv demo test check lint types contracts docs speed format clean

venv: $(STAMP)

# The lock names every package, so pip resolves nothing; the stamp is written last, so a broken set-up starts over.
$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

demo: venv
	$(BIN)/adaptox demo --out runs/demo --overwrite

# One thread a worker: with more, the workers wait for each other's threads.
test: venv
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term

lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: venv
	$(BIN)/mypy

contracts: venv
	$(BIN)/lint-imports

check: lint types contracts test

docs: venv
	$(BIN)/python scripts/render_docs.py

speed: venv
	$(BIN)/python benchmarks/train_speed.py --out docs/results/train-speed.json

format: venv
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
