# make demo: see it work.  make test: check everything.  make test-matrix: check every Airflow that it runs on.
# make test-debian RELEASE=trixie: check everything on another Debian, in a root of its own below .build.
# make docs: the pages, into .build/site.  make fuzz: look for what no test knows.
# make load: tens of thousands of messages.  make bench: measure it beside its peers, in ten minutes, or with QUICK=1
# in one.  make dist: sdist and wheel, into dist.  Each makes what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_CONSTRAINT=constraints.txt $(BIN)/pip --disable-pip-version-check --quiet

# One more than there are cores: tests wait for servers now and then.
WORKERS = $(shell expr $$(nproc) + 1)
# Airflow's commands, which the tests start by the dozen, would compile the package anew each time.
unexport PYTHONDONTWRITEBYTECODE

FUZZED := .build/fuzz
NODEMAILER := nodemailer@10.6.1
SECONDS := 30

PYTHON_VERSION := $(shell $(firstword $(wildcard $(BIN)/python) $(PYTHON)) -c \
	'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

# Each Airflow that this Python can run, by what Airflow says that it supports.
TOO_OLD_FOR_PYTHON_3.13 := 2.11 3.0
TOO_OLD_FOR_PYTHON_3.14 := 2.11 3.0 3.1
AIRFLOW_VERSIONS := $(filter-out $(TOO_OLD_FOR_PYTHON_$(PYTHON_VERSION)),2.11 3.0 3.1 3.2 3.3)
# What Airflow has a part in.
AIRFLOW_TESTS := $(addprefix tests/,cli connection_manager decorators hooks notifications operators task \
	test_email_backend.py test_examples.py test_provider_info.py test_safety.py test_testing.py)

.PHONY: venv demo dist test test-main test-live test-matrix test-debian load lint docs fuzz bench clean needs-root
.PRECIOUS: .build/airflow-%/installed

venv: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import ensurepip, sys; assert sys.version_info >= (3, 11)' 2>/dev/null || { \
		echo 'make: $(PYTHON) is not Python 3.11 or newer with its venv; on Debian: apt-get install python3-venv' >&2; exit 1; }
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

# Kerberos is compiled against the system's library, which tests/install_servers.sh installs where it may.
$(VENV)/installed-for-tests: $(VENV)/installed
	$(PIP) install --group test
	if command -v krb5-config >/dev/null; then $(PIP) install --editable '.[kerberos]'; fi
	touch $@

test:
	tests/install_servers.sh
	$(MAKE) --no-print-directory $(VENV)/installed-for-tests
	$(MAKE) --no-print-directory --jobs --output-sync=target lint docs test-main test-airflow-$(firstword $(AIRFLOW_VERSIONS))
	$(MAKE) --no-print-directory test-live

# What a module sets up is set up by one process.
test-main: $(VENV)/installed-for-tests
	$(BIN)/pytest --ignore=tests/live --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder

# Alone: on a busy machine, the SQLite of a running Airflow is locked for longer than its scheduler waits.
test-live: $(VENV)/installed-for-tests
	$(BIN)/pytest tests/live

test-matrix: $(AIRFLOW_VERSIONS:%=test-airflow-%)

test-airflow-%: .build/airflow-%/installed
	.build/airflow-$*/bin/pytest -m 'not kerberos' $(AIRFLOW_TESTS)

# Airflow's metadata forbid no more than the first 3.13, so it is said here.
.build/airflow-%/installed: tests/airflow_versions/constraints-%.txt pyproject.toml $(VENV)/installed-for-tests
	$(if $(filter $*,$(AIRFLOW_VERSIONS)),,$(error Airflow $* does not run on Python $(PYTHON_VERSION)))
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .build/airflow-$*
	$(BIN)/uv pip install --quiet --compile-bytecode --python .build/airflow-$* --constraints $< --build-constraints constraints.txt \
		'apache-airflow==$*.*' --editable '.[testing]' --group test-airflow
	touch $@

test-debian:
	@tests/debian.sh $(RELEASE)

needs-root:
	@[ "$$(id -u)" = 0 ] || { echo 'make $(MAKECMDGOALS): root only, since Postfix runs as root only' >&2; exit 1; }

# Some minutes; in benchmarks/load.py stands what it does.
load: needs-root
	tests/install_servers.sh
	$(MAKE) --no-print-directory $(VENV)/installed-for-tests
	$(BIN)/python -m benchmarks.load

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The theme's makers advertise at every build.
docs: $(VENV)/installed-for-tests
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# benchmarks/README.md says what it measures. Postfix brings smtp-sink and smtp-source.
bench: needs-root
	tests/install_servers.sh valgrind
	$(MAKE) --no-print-directory $(VENV)/installed-for-tests
	$(PIP) install apache-airflow-providers-smtp aiosmtplib
	if command -v npm >/dev/null; then npm install --silent --prefix .build/bench $(NODEMAILER); fi
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

# What is new stays below .build; what broke something is there as TARGET-crash-...
# Then Hypothesis tries examples at random. What it finds becomes an @example of its test.
fuzz: $(VENV)/installed-for-tests
	@$(BIN)/python -c 'import atheris' 2>/dev/null || { \
		echo 'make fuzz: atheris is missing; there is none but for Linux on x86-64' >&2; exit 1; }
	for target in $$($(BIN)/python -c 'from tests.fuzz import TARGETS; print(*TARGETS)'); do \
		mkdir -p $(FUZZED)/$$target && $(BIN)/python -m tests.fuzz $$target -max_total_time=$(SECONDS) \
			-artifact_prefix=$(FUZZED)/$$target- $(FUZZED)/$$target tests/fuzz/corpus/$$target || exit; \
	done
	$(BIN)/pytest -m hypothesis --hypothesis-profile=search --numprocesses=$(WORKERS) --dist=loadfile

clean:
	rm -rf $(VENV) .build dist
