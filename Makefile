# Needs GNU make 3.81 or newer, and Python 3.11 or newer with its venv module. `make help` lists.

PYTHON ?= python3
VENV ?= .venv
TF_EXTRA ?= tf-cpu
PYTHON_ADDONS ?= $(PYTHON)
WORKERS ?= 2

BIN := $(VENV)/bin
INSTALL := python -m pip install --quiet --disable-pip-version-check
PIP := $(BIN)/$(INSTALL)
# Empty files that say what is installed; out of date when setup.cfg is newer.
HAS_VENV := $(VENV)/.has-venv
HAS_EXAMPLES := $(VENV)/.has-examples-$(TF_EXTRA)
HAS_BENCHMARK := $(VENV)/.has-benchmark-$(TF_EXTRA)
HAS_TEST := $(VENV)/.has-test-$(TF_EXTRA)
HAS_DEV := $(VENV)/.has-dev-$(TF_EXTRA)
HAS_DOCS := $(VENV)/.has-docs-$(TF_EXTRA)
HAS_TEST_DOCS := $(VENV)/.has-test-docs-$(TF_EXTRA)
HAS_TF_KERAS := $(VENV)-tf-keras/.has-test
HAS_ADDONS := $(VENV)-addons/.has-test

# Each process begins with its half of the tests in order: most fixtures of modules are made once.
PYTEST := python -m pytest --numprocesses=$(WORKERS) --dist=worksteal

# What is marked `full` is too slow for each change; `make test-full` tries many more examples too.
QUICK := -m 'not full'
# Tests of what never meets Keras: its older generations can change nothing for them.
WITHOUT_KERAS := sampling scoring study project plots/test_label_plots.py test_labels.py \
	test_schedules.py test_datasets.py test_metrics.py test_testing.py \
	callbacks/test_backup_files.py properties/test_arff.py properties/test_draws.py \
	properties/test_metrics.py properties/test_shards.py properties/test_what_goes_in.py
QUICK_OLDER := $(QUICK) $(addprefix --ignore=tests/,$(WITHOUT_KERAS))

.PHONY: help quickstart test test-tf-keras test-addons test-full lint docs tutorials docs-links \
	test-docs bench gpu-check benchmark benchmark-quick clean

help:
	@echo 'make quickstart  train a small ConvNet with uniform and with adaptive batches, draw the curves'
	@echo '                 STRATEGY=name picks the strategy, EPOCHS=n the length, SEED=n the first seed'
	@echo 'make test        run the tests with Keras 3, but for the slow ones (minutes)'
	@echo 'make test-tf-keras, make test-addons  run those that meet Keras with tf_keras, and with'
	@echo '                 TensorFlow 2.15, Keras 2.15 and TensorFlow Addons (Python 3.10 or 3.11)'
	@echo 'make test-full   run all tests in all three, then make test-docs with every notebook run:'
	@echo '                 before a release (an hour or so)'
	@echo 'make docs        run every code block of the docs, build the site into site/, check its links;'
	@echo '                 NOTEBOOKS=force runs the tutorials too'
	@echo 'make tutorials DATA=directory  run the tutorials, and write their notebooks; DATA is where'
	@echo '                 GoEmotions is, for the one on text'
	@echo 'make docs-links  ask every address outside of the site whether it is still there (network)'
	@echo 'make test-docs   the same as make docs, then open every page in Chromium (CHROMIUM=path)'
	@echo 'make bench       time the training loop'
	@echo 'make gpu-check TF_EXTRA=tf  on a machine with a GPU: run the tests that are for one, and time'
	@echo '                 three models there (at most 8 minutes); DEVICE=cpu tries the script without one'
	@echo 'make benchmark DATA=directory  run what is missing of benchmarks/study/results (hours); what is'
	@echo '                 in the directory says docs/evidence/coverage.md'
	@echo 'make benchmark-quick  three sets, short runs, into a temporary directory (minutes)'
	@echo 'make lint        check style, types, and which room may import which'
	@echo 'make clean       remove the virtual environments and the site'
	@echo
	@echo 'The first call makes a virtual environment in $(VENV) and installs into it; the other'
	@echo 'generations of Keras have $(VENV)-tf-keras and $(VENV)-addons.'
	@echo 'PYTHON=python3.12 picks the interpreter, PYTHON_ADDONS=python3.11 that of test-addons,'
	@echo 'TF_EXTRA=tf the TensorFlow with GPU support, WORKERS=4 how many processes test.'

# Only what was given: the defaults stand in the script.
OPTIONS := $(strip $(if $(STRATEGY),--strategy $(STRATEGY)) $(if $(EPOCHS),--epochs $(EPOCHS)) \
	$(if $(SEED),--seed $(SEED)))

quickstart: $(HAS_EXAMPLES)
	$(BIN)/python examples/quickstart.py $(OPTIONS)

test: $(HAS_TEST)
	$(BIN)/$(PYTEST) $(QUICK)

test-tf-keras: $(HAS_TF_KERAS)
	TF_USE_LEGACY_KERAS=1 $(<D)/bin/$(PYTEST) $(QUICK_OLDER)

test-addons: $(HAS_ADDONS)
	$(<D)/bin/$(PYTEST) $(QUICK_OLDER)

# The environment that not every Python can have is made first.
test-full: QUICK := --hypothesis-profile=long
test-full: QUICK_OLDER := --hypothesis-profile=long
test-full: NOTEBOOKS := force
test-full: $(HAS_ADDONS) test test-tf-keras test-addons test-docs

# -n: a reference that leads nowhere is a warning; -W: a warning is an error.
SPHINX := python -m sphinx -n -W --keep-going --quiet --fresh-env --write-all
# off: notebooks are shown as they were committed; force: they are run.
NOTEBOOKS ?= off

docs: $(HAS_DOCS)
	$(BIN)/$(SPHINX) -D nb_execution_mode=$(NOTEBOOKS) -b html docs site
	@echo 'The site is in site/index.html'
	$(BIN)/python -m pytest README.md docs

# Data for the tutorial that needs some; else it keeps the notebook it has.
TUTORIALS := $(filter-out $(if $(DATA),,%/text.py),$(wildcard docs/tutorials/*.py))

tutorials: $(HAS_DOCS)
	TFMLSELECT_DATA='$(abspath $(DATA))' $(BIN)/python -m jupytext --quiet --to ipynb --execute $(TUTORIALS)

docs-links: $(HAS_DOCS)
	$(BIN)/$(SPHINX) -b linkcheck docs site/.links

test-docs: $(HAS_TEST_DOCS) docs
	$(BIN)/python -m pytest tests/project/site

bench: $(HAS_EXAMPLES)
	$(BIN)/python benchmarks/speed/loop.py

gpu-check: $(HAS_TEST)
	$(BIN)/python benchmarks/speed/gpu_check.py --device $(or $(DEVICE),gpu)

benchmark: $(HAS_BENCHMARK)
	$(BIN)/python -m benchmarks.study.run --data-dir '$(DATA)'

benchmark-quick: $(HAS_BENCHMARK)
	$(BIN)/python -m benchmarks.study.run --quick

lint: $(HAS_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

clean:
	rm -rf $(VENV) $(VENV)-tf-keras $(VENV)-addons site

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

$(HAS_BENCHMARK): setup.cfg $(HAS_EXAMPLES)
	$(PIP) -e '.[$(TF_EXTRA),examples,benchmark]'
	@touch $@

$(HAS_TEST): setup.cfg $(HAS_EXAMPLES)
	$(PIP) -e '.[$(TF_EXTRA),examples,benchmark,test]'
	@touch $@

$(HAS_DEV): setup.cfg $(HAS_EXAMPLES)
	$(PIP) -e '.[$(TF_EXTRA),examples,dev]'
	@touch $@

$(HAS_DOCS): setup.cfg $(HAS_EXAMPLES)
	$(PIP) -e '.[$(TF_EXTRA),examples,docs]'
	@touch $@

$(HAS_TEST_DOCS): setup.cfg $(HAS_DOCS)
	$(PIP) -e '.[$(TF_EXTRA),examples,docs,test-docs]'
	@touch $@

# The older generations go without the examples, whose data wants NumPy 2: their tests are skipped.
# tf_keras brings the TensorFlow of its version, which is not to be mixed with tensorflow-cpu.
$(HAS_TF_KERAS): setup.cfg
	@echo 'Installing TensorFlow, tf_keras and the rest into $(@D): once, it takes some minutes.'
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/$(INSTALL) -e '.[tf-keras,test]'
	@touch $@

$(HAS_ADDONS): setup.cfg
	@$(PYTHON_ADDONS) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 12))' || { \
		echo 'TensorFlow Addons need Python 3.10 or 3.11. Received:' \
			'PYTHON_ADDONS=$(PYTHON_ADDONS). Name another: make PYTHON_ADDONS=python3.11 ...' >&2; \
		exit 1; }
	@echo 'Installing TensorFlow 2.15, Addons and the rest into $(@D): once, it takes some minutes.'
	$(PYTHON_ADDONS) -m venv $(@D)
	$(@D)/bin/$(INSTALL) -e '.[addons,test]'
	@touch $@
