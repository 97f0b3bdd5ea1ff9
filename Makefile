# make demo: a demonstration.  make test: check everything.  make test-matrix: check each supported Airflow.
# make test-debian RELEASE=trixie: check everything on another Debian, in its own root folder below .build.
# make test-cluster: check delivery by two workers with CeleryExecutor, in fifteen minutes, or faster with TASKS=40.
# make docs: the documentation site, into .build/site.  make fuzz: random input for parsers and writers.
# make load: send tens of thousands of messages.  make bench: compare the speed with other clients, in ten minutes, or
# with QUICK=1 in one.  make dist: sdist and wheel, into dist.  Each target makes what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_CONSTRAINT=constraints.txt $(BIN)/pip --disable-pip-version-check --quiet

# One more than the cores, because tests sometimes wait for servers.
WORKERS = $(shell expr $$(nproc) + 1)
# Without bytecode, each of the many Airflow commands of the tests would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

FUZZED := .build/fuzz
NODEMAILER := nodemailer@10.6.1
MAILPARSER := mailparser@3.14.2
SECONDS := 30

PYTHON_VERSION := $(shell $(firstword $(wildcard $(BIN)/python) $(PYTHON)) -c \
	'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

# The Airflow versions that support this Python, by Airflow's documentation.
TOO_OLD_FOR_PYTHON_3.13 := 2.11 3.0
TOO_OLD_FOR_PYTHON_3.14 := 2.11 3.0 3.1
AIRFLOW_VERSIONS := $(filter-out $(TOO_OLD_FOR_PYTHON_$(PYTHON_VERSION)),2.11 3.0 3.1 3.2 3.3)
# The tests that use Airflow.
AIRFLOW_TESTS := $(addprefix tests/,cli connection_manager decorators hooks notifications operators task testing \
	test_email_backend.py test_examples.py test_house_style.py test_provider_info.py test_safety.py)

.PHONY: venv demo dist test test-main test-live test-matrix test-debian test-cluster load lint docs fuzz bench clean needs-python needs-root
.PRECIOUS: .build/airflow-%/installed

venv: $(VENV)/installed

needs-python:
	@[ -e $(VENV)/installed ] || $(PYTHON) -c 'import ensurepip, sys; assert sys.version_info >= (3, 11)' 2>/dev/null || { \
		echo 'make: $(PYTHON) is not Python 3.11 or newer with its venv; on Debian: apt-get install python3-venv;' \
			'or set PYTHON, as in: make $(firstword $(MAKECMDGOALS) venv) PYTHON=python3.13' >&2; exit 1; }

$(VENV)/installed: pyproject.toml constraints.txt | needs-python
	$(PYTHON) -m venv $(VENV)
	$(PIP) install pip
	$(PIP) install --editable '.[import,testing]'
	touch $@

demo: venv
	$(BIN)/python demo/run.py

# The wheel is built from the sdist, which proves that the sdist is complete.
dist: venv
	$(PIP) install --group dist
	rm -rf dist
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	PYTHON=$(BIN)/python demo/from_wheel.sh dist/*.whl

# The Kerberos packages need the system's library, which tests/install_servers.sh installs if it is root.
$(VENV)/installed-for-tests: $(VENV)/installed
	$(PIP) install --group test
	if command -v krb5-config >/dev/null; then $(PIP) install --editable '.[kerberos]'; fi
	if command -v npm >/dev/null; then npm install --silent --prefix .build/node $(MAILPARSER); fi
	touch $@

test: needs-python
	tests/install_servers.sh
	$(MAKE) --no-print-directory $(VENV)/installed-for-tests
	$(MAKE) --no-print-directory --jobs --output-sync=target \
		lint docs test-main test-live test-airflow-$(firstword $(AIRFLOW_VERSIONS))

# By file, so that the fixtures of a module are set up by one process only.
test-main: $(VENV)/installed-for-tests
	$(BIN)/pytest --ignore=tests/live --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder

test-live: $(VENV)/installed-for-tests
	$(BIN)/pytest tests/live

test-matrix: $(AIRFLOW_VERSIONS:%=test-airflow-%)

test-airflow-%: .build/airflow-%/installed
	.build/airflow-$*/bin/pytest -m 'not kerberos' $(AIRFLOW_TESTS)

# Checked here, because Airflow's package metadata excludes too few Python versions.
.build/airflow-%/installed: tests/airflow_versions/constraints-%.txt pyproject.toml $(VENV)/installed-for-tests
	$(if $(filter $*,$(AIRFLOW_VERSIONS)),,$(error Airflow $* does not run on Python $(PYTHON_VERSION)))
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .build/airflow-$*
	$(BIN)/uv pip install --quiet --compile-bytecode --python .build/airflow-$* --constraints $< --build-constraints constraints.txt \
		'apache-airflow==$*.*' --editable '.[testing]' --group test-airflow
	touch $@

test-debian:
	@tests/debian.sh '$(RELEASE)'

needs-root:
	@[ "$$(id -u)" = 0 ] || { echo 'make $(MAKECMDGOALS): needs root, because it starts Postfix' >&2; exit 1; }

# tests/cluster describes it; without Celery, other targets do not collect it.
test-cluster: needs-root
	tests/install_servers.sh redis-server iproute2
	$(MAKE) --no-print-directory .build/cluster/installed
	.build/cluster/bin/pytest --timeout=1800 tests/cluster

.build/cluster/installed: tests/cluster/constraints.txt tests/airflow_versions/constraints-3.3.txt pyproject.toml $(VENV)/installed-for-tests
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .build/cluster
	$(BIN)/uv pip install --quiet --compile-bytecode --python .build/cluster --constraints $(word 1,$^) --constraints $(word 2,$^) \
		--build-constraints constraints.txt 'apache-airflow==3.3.*' --editable '.[kerberos,testing]' --group test-cluster
	touch $@

# Takes some minutes; benchmarks/load.py describes it.
load: needs-root
	tests/install_servers.sh
	$(MAKE) --no-print-directory $(VENV)/installed-for-tests
	$(BIN)/python -m benchmarks.load

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The theme prints an advertisement at every build. Not --quiet, which drops warnings, so that --strict does not see them.
docs: $(VENV)/installed-for-tests
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# benchmarks/README.md describes it. Postfix contains smtp-sink and smtp-source.
bench: needs-root
	tests/install_servers.sh valgrind
	$(MAKE) --no-print-directory $(VENV)/installed-for-tests
	$(PIP) install apache-airflow-providers-smtp aiosmtplib
	if command -v npm >/dev/null; then npm install --silent --prefix .build/bench $(NODEMAILER); fi
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

# New inputs stay below .build; failing ones are there as TARGET-crash-...
# Then Hypothesis tries random examples. Add a failing one to its test as an @example.
fuzz: $(VENV)/installed-for-tests
	@$(BIN)/python -c 'import atheris' 2>/dev/null || { \
		echo 'make fuzz: atheris is missing; it exists only for Linux on x86-64' >&2; exit 1; }
	for target in $$($(BIN)/python -c 'from tests.fuzz import TARGETS; print(*TARGETS)'); do \
		mkdir -p $(FUZZED)/$$target && $(BIN)/python -m tests.fuzz $$target -max_total_time=$(SECONDS) \
			-artifact_prefix=$(FUZZED)/$$target- $(FUZZED)/$$target tests/fuzz/corpus/$$target || exit; \
	done
	$(BIN)/pytest -m hypothesis --hypothesis-profile=search --numprocesses=$(WORKERS) --dist=loadfile

clean:
	rm -rf $(VENV) .build dist
