# Two commands on a fresh machine with only Python (3.10-3.13) and make:
#
#   make labs     sets up everything in .venv/ and opens JupyterLab on labs/
#   make test     sets up everything, Debian's mosquitto, tshark and chromium too, and runs all tests
#
# Options: make labs PORT=9000 BROWSER=no      make test PYTHON=python3.12

PYTHON ?=
PORT ?=
BROWSER ?= yes

VENV := .venv
RUN := $(VENV)/bin/python
PYTEST := $(RUN) -m pytest -q
# Two processes, each with files of its own: a notebook has one kernel, a browser test one JupyterLab.
BY_FILE := -n 2 --dist loadfile
NBVAL := $(PYTEST) $(BY_FILE) --nbval --nbval-current-env --nbval-cell-timeout=120 --timeout=300

.DEFAULT_GOAL := help
.PHONY: help labs test setup peers lint unit interop check-notebooks browser notebooks docs lite check-lite docs-check constraints clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n '1,6p'
	@echo "Parts of make test: lint unit interop check-notebooks browser"
	@echo "For authors: notebooks (write both editions of every lab), docs, lite, check-lite, constraints, docs-check, clean"

# -- the two commands -----------------------------------------------------------------------------

labs: setup
	$(VENV)/bin/mqttsec labs $(if $(PORT),--port $(PORT)) $(if $(filter no,$(BROWSER)),--no-browser)

# One after the other, also under make -j: two cores are all there is, and browsers have time limits.
test: setup peers
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory interop
	@$(MAKE) --no-print-directory check-notebooks
	@$(MAKE) --no-print-directory browser
	@echo "make test: all green"

# -- what they are made of ------------------------------------------------------------------------

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml constraints.txt tools/setup_venv.sh
	PYTHON="$(PYTHON)" sh tools/setup_venv.sh $(VENV)
	@touch $@

peers:
	@sh tools/install_peers.sh

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

# Two processes: no test of this part measures time, and most of it computes.
unit: setup
	$(PYTEST) -n 2 --dist worksteal -m "not interop and not browser and not lite" tests

interop: setup
	$(PYTEST) $(BY_FILE) -m "interop and not browser" tests

check-notebooks: setup
	$(NBVAL) labs

browser: setup
	$(PYTEST) $(BY_FILE) -m browser tests

notebooks: setup
	$(RUN) -m tools.editions

docs: setup
	PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --quiet
	@echo "The documentation is in build/docs/index.html"

# An environment of its own: JupyterLab would load what JupyterLite brings into every page.
lite: setup
	$(RUN) -m venv build/lite-env
	build/lite-env/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[lite]'
	build/lite-env/bin/python -m tools.lite

# Not a part of make test: it wants npm and its registry, and takes a minute and a half.
check-lite: setup
	$(PYTEST) -m lite tests

docs-check: setup
	$(PYTEST) tests/test_project.py

constraints: setup
	$(RUN) tools/pin.py python3.10 python3.11 python3.12 python3.13

clean:
	rm -rf $(VENV) build dist out labs/out .pytest_cache .mypy_cache .ruff_cache .hypothesis
