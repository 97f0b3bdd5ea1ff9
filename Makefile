# make demo: see it work.  make test: check everything.  make docs: the pages, into .build/site.
# make fuzz: look for what no test knows.  All make what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_CONSTRAINT=constraints.txt $(BIN)/pip --disable-pip-version-check --quiet

FUZZED := .build/fuzz
SECONDS := 30

.PHONY: venv demo test lint docs fuzz clean

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

# What is new stays below .build; what broke something is there as TARGET-crash-...
fuzz: $(VENV)/installed-for-tests
	for target in $$($(BIN)/python -c 'from tests.fuzz import TARGETS; print(*TARGETS)'); do \
		mkdir -p $(FUZZED)/$$target && $(BIN)/python -m tests.fuzz $$target -max_total_time=$(SECONDS) \
			-artifact_prefix=$(FUZZED)/$$target- $(FUZZED)/$$target tests/fuzz/corpus/$$target || exit; \
	done

clean:
	rm -rf $(VENV) .build
