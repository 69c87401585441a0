# Two commands on a fresh machine: `make compare` and `make test`. Neither needs anything but
# Python 3.11 or newer with venv; everything is installed into ./.venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: help compare test lint docs sanitize wheel clean

help:
	@echo "make compare   train the four classic cells side by side, write compare/report.html"
	@echo "make test      run the tests"
	@echo "make lint      run ruff and mypy"
	@echo "make docs      build the site and its gallery of cells, build/site/index.html"
	@echo "make sanitize  run every cell in C++ built with AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make wheel     build dist/*.whl, with every cell compiled for x86-64 with and without AVX"
	@echo "make clean     remove $(VENV)"

compare: $(VENV)/.installed
	$(BIN)/cellwright compare

test: $(VENV)/.installed-test
	$(BIN)/pytest -n auto

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Site: build/site/index.html"

# A shared library that is loaded into Python needs the sanitizers' own loaded first, and libstdc++
# for them, which the compiler is spared. Leaks are Python's and torch's. The cache is not that of the
# usual builds.
SANITIZE := env -u LD_PRELOAD g++ -fsanitize=address,undefined -fno-sanitize-recover -g
sanitize: $(VENV)/.installed-test
	CXX="$(SANITIZE)" CELLWRIGHT_CACHE=build/sanitized ASAN_OPTIONS=detect_leaks=0 \
	LD_PRELOAD="$$(for l in asan ubsan stdc++; do g++ -print-file-name=lib$$l.so; done | xargs)" \
	$(BIN)/pytest -n auto tests/test_conformance.py -k "odd_sizes or float32"

# What is in BUILT would be loaded by the editable install too, so it is there for a moment only.
BUILT := src/cellwright/backends/cpu/built
wheel: $(VENV)/.installed
	rm -rf build/wheel
	$(BIN)/cellwright build --target avx512 --target avx2 --target baseline --out build/wheel
	trap 'rm -rf $(BUILT)' EXIT INT TERM; rm -rf $(BUILT); mv build/wheel $(BUILT) && \
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed-docs
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV)
