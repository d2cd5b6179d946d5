# Every target sets itself up in .venv; a second run finds it there.
# Another interpreter: make PYTHON=/path/to/python3.12 round

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := bash

VENV := .venv
VLLM ?= .venv-vllm
BIN := $(VENV)/bin
SMOLLM2 := $(VENV)/smollm2
OUT ?= runs/lab
SOURCES := services pipelines sandbox-image tests hatch_build.py
BUILD_IMAGE ?= $(CURDIR)/charts/images/docker-build
NAMESPACE ?= roundsmith
RELEASE ?= roundsmith
RUN ?= lab
KILLS ?= 100
SEED ?= 1
ROUND ?= --recipe gift --preset lab
INPUTS := pyproject.toml constraints.txt hatch_build.py $(wildcard protos/roundsmith/v1/*.proto)

# The first Python of the supported versions that runs and can make an environment.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
  $$name -c 'import ensurepip, sys, venv; assert (3, 11) <= sys.version_info < (3, 14)' \
    2> /dev/null && command -v $$name && break; done)

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' \
	  | while IFS='|' read -r name text; do printf '  make %-15s %s\n' "$$name" "$$text"; done

.PHONY: round
round: $(VENV)/local.stamp ## run one GiFT round on the lab and write its report to runs/lab
	$(BIN)/roundsmith run --recipe gift --preset lab --out $(OUT)

# Three at a time, for two cores: they wait for a third of their time. The longest first, so that they end together, and
# types last, which fill what a core has left; the first is seen as it goes, the others at their end.
.PHONY: test
test: style bytecode $(SMOLLM2) $(if $(WITH_VLLM),vllm-environment) ## check everything: lint, types, the protos and every test; WITH_VLLM=1 adds test-vllm
	$(MAKE) --jobs=$(LANES) --keep-going $(addprefix test-part-,rounds cluster sandbox $(if $(WITH_VLLM),vllm) \
	  training rest generator services types)

LANES ?= 3
IN_PARTS := cluster generator rounds sandbox services training
of-cluster := tests/cluster
of-generator := tests/services/generator
of-rounds := $(addprefix tests/pipelines/,platform round) tests/chaos# which share rounds that nothing happened to
of-sandbox := tests/sandbox tests/services/executor# one after another: at T1 both count processes by user
of-services := tests/services $(addprefix --ignore=,$(of-sandbox) $(of-generator))
of-training := $(addprefix tests/pipelines/,commands reproduce training)
of-rest := $(addprefix --ignore=,$(filter tests/%,$(foreach part,$(IN_PARTS),$(of-$(part)))))
ON_VLLM = $(if $(WITH_VLLM),env VLLM_ENVIRONMENT=$(abspath $(VLLM)))
SAID = $(VENV)/$@.said# what a part has printed, until it ends
at-its-end = $(1) > $(SAID) 2>&1; code=$$?; echo "== $@ took $$SECONDS s"; cat $(SAID); rm $(SAID); exit $$code

# Tests start hundreds of processes, which read bytecode also where the shell has Python write none.
.PHONY: bytecode
bytecode: $(VENV)/dev.stamp
	@$(BIN)/python -m compileall -q services pipelines sandbox-image protos

# A model that three parts load. Where it can not be had, they try for themselves, and tell.
$(SMOLLM2): | $(VENV)/dev.stamp
	-@$(BIN)/python tests/tools/make_smollm2.py $@

.PHONY: test-part-rounds
test-part-rounds: $(VENV)/dev.stamp
	@$(BIN)/pytest $(of-rounds) 2>&1 | tee $(SAID); code=$${PIPESTATUS[0]}; rm $(SAID); exit $$code

PARTS_OF_TESTS := $(addprefix test-part-,rest $(filter-out rounds,$(IN_PARTS)))
.PHONY: $(PARTS_OF_TESTS)
$(PARTS_OF_TESTS): test-part-%: $(VENV)/dev.stamp
	@$(call at-its-end,$(if $(filter cluster,$*),$(ON_VLLM)) $(BIN)/pytest $(of-$*))

.PHONY: test-part-types
test-part-types: $(VENV)/dev.stamp
	@$(call at-its-end,$(MAKE) types)

.PHONY: test-part-vllm
test-part-vllm: $(VENV)/dev.stamp
	@$(call at-its-end,$(MAKE) test-vllm)

.PHONY: test-cluster
test-cluster: $(VENV)/dev.stamp $(if $(WITH_VLLM),vllm-environment) ## run the tests that need a Kubernetes; they mostly wait for its pods
	$(ON_VLLM) $(BIN)/pytest tests/cluster

.PHONY: test-fast
test-fast: $(VENV)/dev.stamp ## run the tests but those that are slow or need a cluster or a GPU
	$(BIN)/pytest -m 'not slow and not cluster and not gpu'

# What is whole already stays as it is.
.PHONY: vllm-environment
vllm-environment: $(VENV)/dev.stamp
	$(BIN)/python tests/tools/make_vllm_environment.py $(VLLM)

.PHONY: test-vllm
test-vllm: vllm-environment ## run the generator's tests, and a small round, on vLLM's CPU build, in an environment of its own
	VLLM_REQUIRED=1 $(VLLM)/bin/python -m pytest -W default -p no:cacheprovider -m vllm tests/services/generator \
	  tests/pipelines/round/test_vllm.py

.PHONY: chaos
chaos: $(VENV)/dev.stamp ## kill processes of lab rounds, 100 times by a seed: they must end as undisturbed ones do
	$(BIN)/python -m tests.chaos --kills $(KILLS) --seed $(SEED) --out runs/chaos

.PHONY: images
images: $(VENV)/dev.stamp ## build the images: $(BUILD_IMAGE) CONTEXT NAME:TAG is called for each
	PYTHON=$(BIN)/python BUILD_IMAGE='$(BUILD_IMAGE)' charts/images/build

.PHONY: cluster
cluster:
	@charts/install check

.PHONY: cluster-round
cluster-round: cluster images ## install the chart on the cluster of KUBECONFIG and run a lab GiFT round as pods
	PYTHON=$(BIN)/python HELM=$(BIN)/helm NAMESPACE=$(NAMESPACE) RELEASE=$(RELEASE) charts/install
	$(BIN)/roundsmith submit --namespace $(NAMESPACE) --release $(RELEASE) --name $(RUN) -- $(ROUND)

.PHONY: lint
lint: style types ## check format, lint and types

.PHONY: style
style: $(VENV)/dev.stamp
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

.PHONY: types
types: $(VENV)/dev.stamp
	$(BIN)/mypy

.PHONY: format
format: $(VENV)/dev.stamp ## write the format and what the linter can mend
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.PHONY: protos
protos: $(VENV)/dev.stamp ## generate the Python stubs of the protos
	$(BIN)/python hatch_build.py

.PHONY: protos-release
protos-release: $(VENV)/dev.stamp ## record the protos as released: from here on they only grow
	$(BIN)/python hatch_build.py --descriptor-set protos/released.binpb

.PHONY: constraints
constraints: $(VENV)/dev.stamp ## record the versions of this environment as the tested ones
	{ grep '^#' constraints.txt; $(BIN)/pip freeze --exclude-editable; } > constraints.new
	mv constraints.new constraints.txt

.PHONY: hooks
hooks: $(VENV)/dev.stamp ## let git run the checks before each commit
	$(BIN)/pre-commit install

.PHONY: clean
clean: ## remove the environment, the caches and what was generated; keep runs
	rm -rf $(VENV) .venv-vllm dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find protos -name '*_pb2*' -delete

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo 'No Python 3.11, 3.12 or 3.13 with venv was found:' \
	  'install one, or name it with make PYTHON=/path/to/python.'; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/local.stamp: $(INPUTS) | $(VENV)/bin/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[local]'
	@touch $@

$(VENV)/dev.stamp: $(INPUTS) | $(VENV)/bin/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[local,cluster,track,dev]'
	@touch $@ $(VENV)/local.stamp
