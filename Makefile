# make demo: see it work.  make test: check everything.  make test-matrix: check every Airflow that it runs on.
# Each makes what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_CONSTRAINT=constraints.txt $(BIN)/pip --disable-pip-version-check --quiet

# All but the newest have their packages in tests/airflow_versions; the newest has those of constraints.txt.
AIRFLOW_VERSIONS := 2.11 3.0 3.1 3.2 3.3
# The package's own test is about the wheel, and not about Airflow.
AIRFLOW_TESTS := $(filter-out tests/test_package.py,$(wildcard tests/test_*.py))

.PHONY: venv demo test test-matrix lint clean
.PRECIOUS: .build/airflow-%/installed

venv: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install pip
	$(PIP) install --editable '.[testing]'
	touch $@

demo: venv
	$(BIN)/python demo/run.py

# Kerberos is compiled against the system's library, which tests/install_servers.sh installs where it may.
$(VENV)/installed-for-tests: $(VENV)/installed
	$(PIP) install --group test
	if command -v krb5-config >/dev/null; then $(PIP) install --editable '.[kerberos]'; fi
	touch $@

test:
	tests/install_servers.sh
	$(MAKE) --no-print-directory $(VENV)/installed-for-tests lint
	$(BIN)/pytest
	$(MAKE) --no-print-directory test-airflow-$(firstword $(AIRFLOW_VERSIONS))

test-matrix: $(AIRFLOW_VERSIONS:%=test-airflow-%)

test-airflow-%: .build/airflow-%/installed
	.build/airflow-$*/bin/pytest -m 'not kerberos' $(AIRFLOW_TESTS)

.build/airflow-%/installed: tests/airflow_versions/constraints-%.txt pyproject.toml $(VENV)/installed-for-tests
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .build/airflow-$*
	$(BIN)/uv pip install --quiet --python .build/airflow-$* --constraints $< --build-constraints constraints.txt \
		'apache-airflow==$*.*' --editable '.[testing]' --group test-airflow
	touch $@

lint:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) .build
