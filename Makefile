# The project's commands, for Debian 12 with Python 3.11 and make, as root or with sudo.

PYTHON ?= python3
BIN := .venv/bin

PLUGINS := $(patsubst %/setup.cfg,%,$(wildcard datastores/*/setup.cfg strategies/*/*/setup.cfg))
DISTRIBUTIONS := . $(PLUGINS) elements tests/support/datastore_sleeper
PACKAGES := guestagent $(patsubst %/__init__.py,%,$(wildcard $(addsuffix /guestagent_*/__init__.py,$(PLUGINS))))

DEMO_PACKAGES := mariadb-server
TEST_PACKAGES := $(DEMO_PACKAGES) e2fsprogs file mount patchelf rabbitmq-server systemd systemd-container util-linux xfsprogs zstd
TEST_PACKAGES += mariadb-backup
TEST_PACKAGES += memcached
TEST_PACKAGES += pgbackrest postgresql
TEST_PACKAGES += redis-server
BACKPORTS := valkey-server
BENCH_PACKAGES := strace
IMAGE_PACKAGES := debootstrap dmsetup fdisk genisoimage gdisk iproute2 kpartx mmdebstrap parted qemu-system-x86 \
	qemu-utils sudo

# The functional tests of a datastore have its name.
ON_BOTH_PATHS := tests/conformance tests/functional/rpc tests/functional/service tests/interop \
	$(patsubst datastores/%/setup.cfg,tests/functional/%,$(wildcard datastores/*/setup.cfg))

PIP := $(BIN)/python -m pip install --quiet --quiet --constraint tests/constraints.txt
# mypy finds only what has its folder on the path; guestagent/backup lies in one that is there, and must not be one itself.
COMPAT := --config-settings editable_mode=compat

# Four at a time: most tests wait for processes. The long files come first, so that nobody waits for one at the end.
PYTEST := $(BIN)/python -m pytest --timeout=300 --numprocesses=4 --dist=loadfile --no-loadscope-reorder
# One process, and so one image for all tests of it.
TEST_IMAGES := $(PYTEST) --numprocesses=0 --timeout=1800 tests/image
IMAGES ?=
# The tests of the kit that try more when that is asked for.
DEADLY := TestCrash or TestServerDies or TestPowerCut or TestFull or TestRepetition or TestNextVersion

.NOTPARALLEL:
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: demo-packages venv ## Show the main job on a real MariaDB; TRANSPORT_URL=rabbit://... uses a real broker.
	@$(BIN)/python -m examples.demo

.PHONY: test
test: deps venv lint ## Install what the tests need, check the style, run all tests.
	@$(PYTEST) tests/conformance tests/isolation tests/functional/service tests/functional tests/crash tests/interop tests/unit
	@echo "Once more on the code path 'convergence': all tests in which a guest changes something"
	@TEST_ENGINE=convergence $(PYTEST) $(ON_BOTH_PATHS)

.PHONY: unit
unit: venv ## Run the tests that need nothing but Python.
	@$(PYTEST) tests/unit

.PHONY: functional
functional: deps venv ## Run the tests on a real broker, a real MariaDB and real block devices.
	@$(PYTEST) tests/functional

.PHONY: conformance
conformance: deps venv ## Run the conformance kit on every datastore of the tree.
	@$(PYTEST) tests/conformance

.PHONY: interop
interop: deps venv ## Run the tests with the control plane's own client.
	@$(PYTEST) tests/interop

.PHONY: isolation
isolation: deps venv ## Run the tests of what a fresh installation holds and imports.
	@$(PYTEST) tests/isolation

.PHONY: test-crash
test-crash: deps venv ## Kill agents and servers at every moment of every operation; `make test` tries a sample.
	@$(PYTEST) --timeout=7200 --crash=whole tests/crash
	@TEST_CRASH=whole $(PYTEST) --timeout=7200 tests/conformance -k "$(DEADLY)"
	@TEST_CRASH=whole TEST_ENGINE=convergence $(PYTEST) --timeout=7200 tests/conformance -k "$(DEADLY)"

.PHONY: test-image
test-image: deps image-packages venv ## Build the MariaDB image, boot it, and live through a backup in it.
	@$(TEST_IMAGES)

.PHONY: test-images
test-images: deps image-packages venv ## The same for every datastore, another release and another format; IMAGES=redis: some.
	@$(TEST_IMAGES) --images=$(IMAGES)

.PHONY: lint
lint: venv ## Check style and types.
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --strict $(PACKAGES) benchmarks elements/guestagent_image examples tests/support
	@$(BIN)/mypy --strict $(wildcard examples/*/guestagent_*)

.PHONY: bench
bench: deps bench-packages venv ## Measure start, memory, latency and size beside a bare server and Trove's agent.
	@$(BIN)/python -m benchmarks

.PHONY: deps
deps: ## Install the Debian packages of the tests, without their services.
	@.ci/install $(TEST_PACKAGES)
	@.ci/install --suite bookworm-backports $(BACKPORTS) || echo "The tests go on without $(BACKPORTS)"
	@$(PYTHON) -m tests.support.newer_postgresql

.PHONY: bench-packages
bench-packages:
	@.ci/install $(BENCH_PACKAGES) || echo "The benchmarks go on without $(BENCH_PACKAGES)"

.PHONY: image-packages
image-packages: ## Install the Debian packages that images are built and booted with.
	@.ci/install $(IMAGE_PACKAGES)

.PHONY: demo-packages
demo-packages:
	@.ci/install $(DEMO_PACKAGES)

.PHONY: venv
venv: .venv/installed ## Make .venv with this tree, editable, and the tools of the tests.

.venv/installed: $(patsubst %,%/setup.cfg,$(DISTRIBUTIONS) guestagent/backup) tests/requirements.txt tests/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; make PYTHON=...")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || .ci/install python3-venv
	@echo "Installing Python packages into .venv"
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) setuptools
	@$(PIP) --no-build-isolation $(COMPAT) --editable .
	@$(PIP) --no-build-isolation --editable guestagent/backup
	@$(PIP) --no-build-isolation $(COMPAT) --requirement tests/requirements.txt $(addprefix --editable ,$(DISTRIBUTIONS))
	@touch $@

.PHONY: clean
clean: ## Remove what the other commands made in this tree.
	rm -rf .venv .work .mypy_cache .ruff_cache .pytest_cache
	rm -rf $(addsuffix /build,$(DISTRIBUTIONS) guestagent/backup) $(foreach folder,$(DISTRIBUTIONS) guestagent/backup,$(wildcard $(folder)/*.egg-info))
	find benchmarks datastores docs elements examples guestagent strategies tests -name __pycache__ -prune -exec rm -rf {} +
