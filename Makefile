# Needs GNU make 3.81 or newer, and Python 3.11 or newer with its venv module. `make help` lists.

PYTHON ?= python3
VENV ?= .venv
TF_EXTRA ?= tf-cpu

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Empty files that say what is installed; out of date when setup.cfg is newer.
HAS_VENV := $(VENV)/.has-venv
HAS_EXAMPLES := $(VENV)/.has-examples-$(TF_EXTRA)
HAS_TEST := $(VENV)/.has-test-$(TF_EXTRA)
HAS_DEV := $(VENV)/.has-dev-$(TF_EXTRA)

.PHONY: help quickstart test lint bench clean

help:
	@echo 'make quickstart  train on real data with uniform and with adaptive batches, draw the curves'
	@echo '                 STRATEGY=name picks the strategy, EPOCHS=n the length, SEED=n the seed'
	@echo 'make test        run all tests'
	@echo 'make bench       time the training loop'
	@echo 'make lint        check style and types'
	@echo 'make clean       remove the virtual environment'
	@echo
	@echo 'The first call makes a virtual environment in $(VENV) and installs into it.'
	@echo 'PYTHON=python3.12 picks the interpreter, TF_EXTRA=tf the TensorFlow with GPU support.'

# Only what was given: the defaults stand in the script.
OPTIONS := $(strip $(if $(STRATEGY),--strategy $(STRATEGY)) $(if $(EPOCHS),--epochs $(EPOCHS)) \
	$(if $(SEED),--seed $(SEED)))

quickstart: $(HAS_EXAMPLES)
	$(BIN)/python examples/quickstart.py $(OPTIONS)

test: $(HAS_TEST)
	$(BIN)/python -m pytest

bench: $(HAS_EXAMPLES)
	$(BIN)/python benchmarks/bench_loop.py

lint: $(HAS_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV)

$(HAS_VENV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Needs Python 3.11 or newer, for the data in the examples. Received:' \
			'PYTHON=$(PYTHON). Name another: make PYTHON=python3.12 ...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(HAS_EXAMPLES): setup.cfg $(HAS_VENV)
	@echo 'Installing TensorFlow and the rest into $(VENV): once, it takes some minutes.'
	$(PIP) -e '.[$(TF_EXTRA),examples]'
	@touch $@

$(HAS_TEST): setup.cfg $(HAS_EXAMPLES)
	$(PIP) -e '.[$(TF_EXTRA),examples,test]'
	@touch $@

$(HAS_DEV): setup.cfg $(HAS_EXAMPLES)
	$(PIP) -e '.[$(TF_EXTRA),examples,dev]'
	@touch $@
