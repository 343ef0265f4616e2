# Every target sets up what it needs; Go decides what is stale. Needs Go 1.26, Node 20 and make.
#
#   make run                    the whole product at http://localhost:8080; FRESH=1 starts empty,
#                               ARGS passes flags on, such as ARGS='-http 9080 -set LogRetentionDays=1'
#   make test                   every test, end to end and by browser too; as root on Debian it
#                               installs Chromium where there is no browser
#   make second-engine          tests of the table and of stories once more on another DynamoDB engine,
#                               which it installs by Python 3, with DynamoDB's weaker batch reads
#   make prove                  the proofs of infra/prove, with figures; LONG=1 runs them for hours,
#                               SEED=n repeats a run, ARGS='-run TestModel' chooses
#   make schemathesis           calls every operation of the API by its own description as six
#                               callers, with schemathesis, which it installs by Python 3; LONG=1 makes
#                               many more calls, ARGS passes flags on, such as ARGS='--caller owner'
#   make pace                   what the race detector is too slow for: how long one thing holds up
#                               others, events a second, a redrive of 20,000 events; prints figures
#   make screenshots            a picture of every page and email, into .local/screenshots
#   make demo                   plays the story against the running stack
#   make token EMAIL=a@b.test   a bearer token of the running stack, alone on stdout;
#                               PLATFORM=1 in place of EMAIL for the platform's own calls
#   make import FILE=a.csv      registers accounts by the platform's API; with URL= of a deployed
#                               stack, whose token is in HUB_TOKEN (infra/import/README.md)
#   make smoke                  checks the running stack from outside: routes, guard, sign-in, status;
#                               with URL= a deployed hub, whose issuer is in HUB_ISSUER and whose
#                               platform's client in HUB_CLIENT_ID and HUB_CLIENT_SECRET
#   make cleanup                runs the scheduled cleanup now and prints its report
#   make events                 the last events of the bus; TYPE=connection.accepted, LAST=5
#   make redrive                makes every event due that is not delivered to everyone yet, and
#                               prints a report of each call
#   make lint                   golangci-lint, go vet, govulncheck; of the template cfn-lint, `sam
#                               validate --lint` and its limits, installed by Python 3
#   make sam                    `sam build`, as a deployment does it, with the same SAM CLI
#   make openapi                writes infra/openapi.yaml from the functions, and the page /docs
#   make schemas                writes infra/events/events.schema.json, the schema of every event
#   make assets                 zips what the console's pages load, after a change in its style
#   make build                  the binaries for AWS, into out/
#   make clean                  removes what was built and installed; data in .local/ stays

.DEFAULT_GOAL := run
.PHONY: run test second-engine prove schemathesis pace screenshots demo token import smoke cleanup events redrive lint sam openapi schemas assets build setup browser clean FORCE

GOLANGCI_LINT := .tools/golangci-lint-v2.15.0/golangci-lint
GOVULNCHECK := .tools/govulncheck-v1.9.0/govulncheck

# The flags leave out paths, symbols and Lambda's old RPC mode. The local stack is built with the
# same ones: what two programs share is compiled once.
FLAGS := -buildvcs=false -trimpath -tags lambda.norpc -ldflags='-s -w'
LOCAL := CGO_ENABLED=0 go build $(FLAGS)
# Lambda runs on Graviton.
PRODUCTION := GOOS=linux GOARCH=arm64 $(LOCAL)

# The build that the hub's status names: a tag or a commit, or VERSION of the environment. It is in
# the binaries of platform and cleanup alone, so that a commit changes no other function. Without
# Git it is dev.
VERSION ?= $(or $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null),dev)
VERSIONED = $(foreach f,platform cleanup,-ldflags='agencyhub/functions/$f=-s -w -X main.version=$(VERSION)')

# The runner's program, up to date. It is started without `go run`, so that signals reach it.
RUNNER := mkdir -p .local/bin && $(LOCAL) -o .local/bin/ ./infra/local && exec .local/bin/local

# The race detector needs a C compiler on Linux.
RACE := $(if $(shell command -v "$$(go env CC)"),-race)

# Go fetches its modules itself. The stamp is in the folder that npm fills: both are deleted together.
NODE_MODULES := infra/local/node_modules/.installed

$(NODE_MODULES): infra/local/package-lock.json infra/local/package.json infra/local/.npmrc
	cd infra/local && npm ci --prefer-offline --no-fund --no-audit --loglevel=error
	@touch $@

setup: $(NODE_MODULES)

# GOGC=400 builds a cold cache about a tenth faster.
run:
	@infra/local/prepare.sh env GOGC=400 $(LOCAL)
	@exec .local/bin/local run $(if $(FRESH),-fresh) $(ARGS)

# The browser for the tests of pages: any that is there. Without one these tests are skipped, but
# fail under CI=true.
browser:
	@{ for b in chromium chromium-browser google-chrome google-chrome-stable microsoft-edge msedge; do command -v $$b; done; \
		ls -d '/Applications/Google Chrome.app' /Applications/Chromium.app '/Applications/Microsoft Edge.app'; } 2>/dev/null | grep -q . || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		{ echo 'Installing Chromium.'; apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium fonts-liberation >/dev/null; }; } || \
		echo 'Chromium is not installed and could not be: the tests by browser are skipped.'

# The race detector is left out where it sees nothing: the stories test other processes, and the
# other packages know no goroutines.
WITHOUT_RACE := ./infra/e2e ./infra/openapi ./infra/words ./shared/agency ./shared/rest

test: setup browser
	$(if $(RACE),,@echo "No C compiler: the tests run without the race detector.")
	@# Side by side, since the one waits for its engines while the other computes.
	@go test -timeout 15m $(WITHOUT_RACE) & stories=$$!; \
		go test $(RACE) -timeout 15m $$(go list ./... | grep -vE '/(infra/(e2e|openapi|words)|shared/(agency|rest))$$'); others=$$?; \
		wait $$stories && exit $$others

# What the table, the use cases and the functions do may not depend on one engine, nor on batch
# reads that are snapshots: here the stories and the use cases have torn reads too. TestOneKeyTwiceAtOnce
# has them in `make test` as well.
STORE_TESTS := ./shared/table ./shared/service ./shared/stream ./functions/publish ./functions/notify ./functions/delivery ./functions/cleanup ./functions/approvals
STORIES := TestBus|TestByEmail|TestConnect|TestCreate|TestEndDates|TestEndings|TestExpiry|TestFate|TestInvitations|TestLimits|TestOneKeyTwiceAtOnce|TestOwnership|TestPersons|TestPlatform|TestRaces|TestRestart|TestStaff|TestUnsolicited
PACE_TESTS := ./shared/service ./functions/publish ./functions/notify ./functions/cleanup
PACE := TestManyCommandsOfOneAgencyAtOnce|TestOneRefusedEntryDelaysNobody|TestOneRecipientWithoutAnswerDelaysNobody|TestAFaultOfOneSecondIsSoonOver|TestEventsASecondOnOneShard|TestARateLimitedSESIsNotOverrun|TestRedriveOfManyEvents
ENGINE := .tools/engine
# The Python of a target, "" where it is older than the target needs.
python = $(if $(filter $1,$(MAKECMDGOALS)),$(shell python3 -c 'import sys, ensurepip, venv; print("python3" if sys.version_info >= (3, $2) else "")' 2>/dev/null))
PYTHON := $(call python,second-engine,10)

$(ENGINE)/.installed: infra/engine/requirements.txt
	rm -rf $(ENGINE)
	$(PYTHON) -m venv $(ENGINE)
	$(ENGINE)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

second-engine: setup $(if $(PYTHON),$(ENGINE)/.installed)
ifdef PYTHON
	@# Side by side, since each waits for its engine at times. Torn reads pause, so the use cases have them on
	@# the fast engine.
	@on="$(ENGINE)/bin/python infra/engine/run.py go test -timeout 10m"; \
		$$on -short $(STORE_TESTS) & store=$$!; \
		HUB_TEST_TORN_READS=1 go test -short -timeout 10m ./shared/table ./shared/service & torn=$$!; \
		HUB_TEST_TORN_READS=1 $$on -short -run '^($(STORIES))$$' ./infra/e2e; failed=$$?; \
		wait $$store || failed=1; wait $$torn || failed=1; exit $$failed
else
	@echo 'The tests on the second DynamoDB engine need Python 3.10 or newer with venv: they are skipped, but fail under CI=true.'
	@test "$$CI" != true
endif

SCHEMATHESIS := .tools/schemathesis
SCHEMATHESIS_PYTHON := $(call python,schemathesis,11)

$(SCHEMATHESIS)/.installed: infra/schemathesis/requirements.txt
	rm -rf $(SCHEMATHESIS)
	$(SCHEMATHESIS_PYTHON) -m venv $(SCHEMATHESIS)
	$(SCHEMATHESIS)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

schemathesis: setup $(if $(SCHEMATHESIS_PYTHON),$(SCHEMATHESIS)/.installed)
ifneq ($(SCHEMATHESIS_PYTHON),)
	$(SCHEMATHESIS)/bin/python infra/schemathesis/run.py $(if $(LONG),--long) $(ARGS)
else
	@echo 'The tests with schemathesis need Python 3.11 or newer with venv: they are skipped, but fail under CI=true.'
	@test "$$CI" != true
endif

# One package after another: they measure. What they log besides is left out.
pace: setup
	@mkdir -p .local
	@go test -count=1 -p 1 -timeout 8m -v -run '^($(PACE))$$' $(PACE_TESTS) > .local/pace.txt 2>&1; status=$$?; \
		grep -E '^(ok|FAIL|panic)|^ *--- |_test\.go:' .local/pace.txt; exit $$status

# Their figures, and of a failure everything.
prove: setup
	@mkdir -p .local
	@PROVE=$(if $(LONG),long,ci) go test -count=1 -timeout $(if $(LONG),24h,9m) -v $(ARGS) ./infra/prove/... > .local/prove.txt 2>&1; status=$$?; \
		grep -E '^(ok|FAIL|panic)|^ *--- |figure: |SEED=|kept ' .local/prove.txt; [ $$status = 0 ] || tail -n 200 .local/prove.txt; exit $$status

screenshots: setup browser
	go test -count=1 -timeout 8m -run '^TestScreenshots$$' -v ./infra/e2e -screenshots .local/screenshots

demo:
	@CGO_ENABLED=0 go run $(FLAGS) ./infra/e2e/demo

token:
	@test -n '$(EMAIL)$(PLATFORM)' || { echo 'usage: make token EMAIL=ann@agency.test, or PLATFORM=1' >&2; exit 2; }
	@$(RUNNER) token $(if $(PLATFORM),-platform,'$(EMAIL)')

# It is started without `go run`, so that Ctrl-C reaches it: it stops after a whole row.
import:
	@test -n '$(FILE)' || { echo 'usage: make import FILE=accounts.csv, and URL=https://hub.example.com for a hub elsewhere' >&2; exit 2; }
	@mkdir -p .local/bin
	@$(LOCAL) -o .local/bin/ ./infra/import
	@exec .local/bin/import $(if $(URL),-url '$(URL)') '$(FILE)'

smoke:
	@mkdir -p .local/bin
	@$(LOCAL) -o .local/bin/ ./infra/smoke
	@exec .local/bin/smoke $(ARGS) $(if $(URL),'$(URL)')

cleanup:
	@$(RUNNER) cleanup

events:
	@$(RUNNER) events $(if $(TYPE),-type '$(TYPE)') $(if $(LAST),-last '$(LAST)')

redrive:
	@$(RUNNER) redrive

openapi:
	go run ./infra/openapi

schemas:
	go run ./infra/events

assets: setup
	go run ./infra/assets

build:
	@mkdir -p out
	$(PRODUCTION) $(VERSIONED) -o out/ ./functions/...

# `sam build` calls this for each function, in this folder (build_in_source of samconfig.toml):
# AccountsFunction is functions/accounts.
build-%Function: FORCE
	$(PRODUCTION) $(VERSIONED) -o '$(ARTIFACTS_DIR)/bootstrap' ./functions/$(shell echo '$*' | tr A-Z a-z)

FORCE:

# SAM and cfn-lint ask AWS for nothing here.
SAM := .tools/sam
SAM_PYTHON := $(call python,lint sam,10)
WITHOUT_AWS := AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 PATH="$(abspath $(SAM)/bin):$$PATH"

$(SAM)/.installed: infra/sam/requirements.txt
	rm -rf $(SAM)
	$(SAM_PYTHON) -m venv $(SAM)
	$(SAM)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

lint: $(GOLANGCI_LINT) $(GOVULNCHECK) $(if $(SAM_PYTHON),$(SAM)/.installed)
	$(GOLANGCI_LINT) run ./...
	go vet ./...
ifneq ($(SAM_PYTHON),)
	@$(WITHOUT_AWS) cfn-lint -r us-east-1 -t template.yaml
	@$(WITHOUT_AWS) sam validate --lint -t template.yaml
	@$(WITHOUT_AWS) python -B infra/sam/test_template.py
	@$(WITHOUT_AWS) python -B infra/sam/test_deployment.py
else
	@echo 'The checks of the template need Python 3.10 or newer with venv: they are skipped, but fail under CI=true.'
	@test "$$CI" != true
endif
	@$(GOVULNCHECK) ./... > .tools/govulncheck.txt 2>&1; status=$$?; \
		case $$status in \
		0) echo 'govulncheck: no known vulnerability is called.' ;; \
		3) cat .tools/govulncheck.txt; exit 3 ;; \
		*) echo 'govulncheck was skipped, it cannot reach its data:'; tail -n 1 .tools/govulncheck.txt ;; \
		esac

sam: $(if $(SAM_PYTHON),$(SAM)/.installed)
	@test -n '$(SAM_PYTHON)' || { echo 'The SAM CLI needs Python 3.10 or newer with venv.' >&2; exit 1; }
	@$(WITHOUT_AWS) sam build

$(GOLANGCI_LINT):
	GOBIN='$(abspath $(@D))' go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

$(GOVULNCHECK):
	GOBIN='$(abspath $(@D))' go install golang.org/x/vuln/cmd/govulncheck@v1.9.0

clean:
	rm -rf out .aws-sam .tools .local/bin infra/local/node_modules
