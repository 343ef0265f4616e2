# Every target does its own set-up; Go decides what is stale. Needs Go 1.26, Node 20 and make.
#
#   make run                    the whole product at http://localhost:8080; FRESH=1 starts empty,
#                               ARGS passes flags on, such as ARGS='-http 9080 -set LogRetentionDays=1'
#   make test                   every test, the story end to end and by browser included; as root on
#                               Debian it installs Chromium where there is none
#   make screenshots            a picture of every page and email, into .local/screenshots
#   make demo                   plays the story against the running stack
#   make token EMAIL=a@b.test   a bearer token of the running stack, alone on stdout;
#                               PLATFORM=1 in place of EMAIL for the platform's own calls
#   make import FILE=a.csv      registers accounts by the platform's API; with URL= of a hub
#                               elsewhere, whose token stands in HUB_TOKEN (README, "Importing accounts")
#   make cleanup                runs the scheduled cleanup now and prints its report
#   make events                 what stands on the bus; TYPE=connection.accepted, LAST=5
#   make redrive                wakes at once every event that has not been told everyone yet
#   make lint                   golangci-lint, go vet, cfn-lint, govulncheck
#   make openapi                writes infra/openapi.yaml from the functions
#   make schemas                writes infra/events, the schema of each type of event
#   make assets                 zips what the console's pages load, after a change in its style
#   make build                  the binaries for AWS, into out/
#   make clean                  removes what was built and installed; data in .local/ stays

.DEFAULT_GOAL := run
.PHONY: run test screenshots demo token import cleanup events redrive lint openapi schemas assets build setup browser clean FORCE

GOLANGCI_LINT := .tools/golangci-lint-v2.15.0/golangci-lint
GOVULNCHECK := .tools/govulncheck-v1.9.0/govulncheck

# Lambda runs on Graviton; the flags leave out paths, symbols and the old RPC mode.
PRODUCTION := CGO_ENABLED=0 GOOS=linux GOARCH=arm64 go build -buildvcs=false -trimpath -tags lambda.norpc -ldflags='-s -w'

# The race detector needs a C compiler on Linux.
RACE := $(if $(shell command -v "$$(go env CC)"),-race)

# Go fetches its modules itself. The stamp lies in the folder that npm fills: one goes with the other.
NODE_MODULES := infra/local/node_modules/.installed

$(NODE_MODULES): infra/local/package-lock.json infra/local/package.json infra/local/.npmrc
	cd infra/local && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

setup: $(NODE_MODULES)

# The runner is started without `go run` in between, so that signals reach it.
run: setup
	@mkdir -p .local
	@go build -o .local/local ./infra/local
	@exec .local/local run $(if $(FRESH),-fresh) $(ARGS)

# The browser that looks at the pages. Where it is not and can't be installed, the tests
# that need it say so and are skipped, but fail under CI=true.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		{ echo 'Installing Chromium.'; apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium fonts-liberation >/dev/null; }; } || \
		echo 'Chromium is not installed and could not be: the tests by browser are skipped.'

test: setup browser
	$(if $(RACE),,@echo "No C compiler: the tests run without the race detector.")
	go test $(RACE) -timeout 15m ./...

screenshots: setup browser
	go test -count=1 -timeout 8m -run '^TestScreenshots$$' -v ./infra/e2e -screenshots .local/screenshots

demo:
	@go run ./infra/e2e/demo

token:
	@test -n '$(EMAIL)$(PLATFORM)' || { echo 'usage: make token EMAIL=ann@agency.test, or PLATFORM=1' >&2; exit 2; }
	@go run ./infra/local token $(if $(PLATFORM),-platform,'$(EMAIL)')

# Built first, so that Ctrl-C reaches it: it stops behind a whole row and can go on from there.
import:
	@test -n '$(FILE)' || { echo 'usage: make import FILE=accounts.csv, and URL=https://hub.example.com for a hub elsewhere' >&2; exit 2; }
	@mkdir -p .local
	@go build -o .local/import ./infra/import
	@exec .local/import $(if $(URL),-url '$(URL)') '$(FILE)'

cleanup:
	@go run ./infra/local cleanup

events:
	@go run ./infra/local events $(if $(TYPE),-type '$(TYPE)') $(if $(LAST),-last '$(LAST)')

redrive:
	@go run ./infra/local redrive

openapi:
	go run ./infra/openapi

schemas:
	go run ./infra/events

assets: setup
	go run ./infra/assets

build:
	@mkdir -p out
	$(PRODUCTION) -o out/ ./functions/...

# `sam build` calls this for each function, in a copy of this folder: AccountsFunction is
# functions/accounts. What the functions share is compiled once, in Go's own cache.
build-%Function: FORCE
	$(PRODUCTION) -o '$(ARTIFACTS_DIR)/bootstrap' ./functions/$(shell echo '$*' | tr A-Z a-z)

FORCE:

lint: $(GOLANGCI_LINT) $(GOVULNCHECK)
	$(GOLANGCI_LINT) run ./...
	go vet ./...
	@if command -v cfn-lint >/dev/null; then echo cfn-lint -r us-east-1 -t template.yaml; cfn-lint -r us-east-1 -t template.yaml; \
		else echo 'cfn-lint is not installed: the template is not checked.'; fi
	@$(GOVULNCHECK) ./... > .tools/govulncheck.txt 2>&1; status=$$?; \
		case $$status in \
		0) echo 'govulncheck: no known vulnerability is called.' ;; \
		3) cat .tools/govulncheck.txt; exit 3 ;; \
		*) echo 'govulncheck was skipped, it cannot reach its data:'; tail -n 1 .tools/govulncheck.txt ;; \
		esac

$(GOLANGCI_LINT):
	GOBIN='$(abspath $(@D))' go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

$(GOVULNCHECK):
	GOBIN='$(abspath $(@D))' go install golang.org/x/vuln/cmd/govulncheck@v1.9.0

clean:
	rm -rf out .aws-sam .tools .local/local .local/import .local/bin infra/local/node_modules
