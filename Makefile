# Two commands on a fresh machine: `make compare` and `make test`. Neither needs anything but
# Python 3.11 or newer with venv; everything is installed into ./.venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: help compare test lint clean

help:
	@echo "make compare   train the four classic cells side by side, write compare/report.html"
	@echo "make test      run the tests"
	@echo "make lint      run ruff and mypy"
	@echo "make clean     remove $(VENV)"

compare: $(VENV)/.installed
	$(BIN)/cellwright compare

test: $(VENV)/.installed-test
	$(BIN)/pytest -n auto

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV)
