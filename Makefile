# make setup · serve · serve-pacs · test · lint · bench · model · clean      (variables: STUDIES, SOURCE, HOST, PORT, PYTHON)
PYTHON  ?= python3.11
VENV    := .venv
BIN     := $(VENV)/bin
SAMPLES := sample-data/cases/images
STUDIES ?= $(SAMPLES)
HOST    ?= 127.0.0.1
PORT    ?= 8000

.PHONY: setup serve serve-pacs test lint bench model clean

setup: $(VENV)/.installed

# --no-compile keeps the environment small; Python compiles what it imports at first use.
$(VENV)/.installed: requirements.txt requirements-nodeps.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11, or say make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing into $(VENV): about 2.4 GB, a few minutes, once."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-compile --no-deps -r requirements-nodeps.txt
	$(BIN)/python -m pip install --quiet --no-compile --no-deps --no-build-isolation --editable .
	@touch $@

# Tests and checks need more: a browser's driver, pytest, ruff, mypy.
$(VENV)/.installed-test: requirements-test.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --no-compile --no-deps -r requirements-test.txt
	@touch $@

# The sample studies are needed only where the user brings none.
serve: setup $(if $(filter $(SAMPLES),$(STUDIES)),sample-data/cases/.made)
	$(BIN)/python apps/amd_das/serve.py --studies $(STUDIES) --host $(HOST) --port $(PORT) $(if $(SOURCE),--conf source $(SOURCE))

# A sample PACS (Orthanc) on this machine, filled once, and the server before it.
serve-pacs: setup
	@command -v Orthanc >/dev/null || test -x /usr/sbin/Orthanc || [ "$$(id -u)" != 0 ] || apt-get install -y -qq --no-install-recommends orthanc orthanc-dicomweb
	$(BIN)/python apps/amd_das/serve_pacs.py --host $(HOST) --port $(PORT)

sample-data/cases/.made: sample-data/generate.sh | setup
	@echo "Making the sample studies: a minute or two, once."
	AMD_DAS=$(BIN)/amd-das sample-data/generate.sh
	@touch $@

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/inference.py
	$(BIN)/python benchmarks/phantom_test_set.py
	$(BIN)/python benchmarks/matching.py
	$(BIN)/python benchmarks/train_step.py --stage 1
	$(BIN)/python benchmarks/train_step.py --stage 2
	$(BIN)/python benchmarks/pacs.py

# Makes the shipped weights again, without a CT label, and publishes them in model/: each preset goes on from the one before.
# Goes on where it was interrupted; to begin anew, remove runs/model.
model: runs/model/.renew

runs/model/.adapt: runs/model/.shipped
runs/model/.renew: runs/model/.adapt
runs/model/.shipped runs/model/.adapt runs/model/.renew: | setup
	$(BIN)/amd-das pipeline --preset $(@F:.%=%) --workdir $(@D) --model-dir model
	touch $@

clean:
	rm -rf $(VENV) sample-data/cases .pytest_cache .ruff_cache .mypy_cache
