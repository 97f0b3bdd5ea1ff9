# make demo: see it work.  make test: check everything.  make docs: the pages, into .build/site.
# make bench: measure it beside its peers, in ten minutes, or with QUICK=1 in one.
# All make what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODEMAILER := nodemailer@10.6.1
PIP := PIP_CONSTRAINT=constraints.txt $(BIN)/pip --disable-pip-version-check --quiet

.PHONY: venv demo test lint docs bench clean

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
	$(MAKE) --no-print-directory $(VENV)/installed-for-tests lint docs
	$(BIN)/pytest

lint:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The theme's makers advertise at every build.
docs: $(VENV)/installed-for-tests
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench:
	tests/install_servers.sh
	$(MAKE) --no-print-directory $(VENV)/installed-for-tests
	if command -v npm >/dev/null; then npm install --silent --prefix .build/bench $(NODEMAILER); fi
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

clean:
	rm -rf $(VENV) .build
