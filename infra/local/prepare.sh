#!/bin/sh
# Installs the stand-ins and builds the functions and the runner, side by side, for
# `make run`. It prints a line at least every three seconds, and nothing when all is up
# to date. Its arguments are the build command without -o and packages.
set -u
cd "$(dirname "$0")/../.." || exit 1
mkdir -p .local/bin
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
started=$(date +%s)
functions=$(ls -d functions/*/ | wc -l | tr -d ' ')

elapsed() { echo "$(($(date +%s) - started)) s"; }
say() { printf '%-12s| %s\n' setup "$*"; }

progress() {
	sleep 1 >/dev/null
	say "Installing the stand-ins and building $functions functions. The first time takes up to a minute."
	while sleep 2 >/dev/null; do
		built=$(find .local/bin -type f -newer "$logs/npm" ! -name local | wc -l | tr -d ' ')
		compiled=$(grep -cv ' ' "$logs/go")
		installing=
		kill -0 "$npm" 2>/dev/null && installing=', npm installs the stand-ins'
		say "Building $functions functions: $built of $functions ready, $compiled packages compiled$installing ($(elapsed))"
	done
}

fail() {
	kill "$npm" "$go" "$ticker" 2>/dev/null
	exit 1
}

: >"$logs/npm"
: >"$logs/go"
make -s setup >>"$logs/npm" 2>&1 &
npm=$!
"$@" -v -o .local/bin/ ./functions/... ./infra/local >"$logs/go" 2>&1 &
go=$!
progress &
ticker=$!
trap fail INT TERM

wait "$npm" || { cat "$logs/npm" >&2; fail; }
wait "$go" || { grep ' ' "$logs/go" >&2; fail; } # without the names of packages
kill "$ticker"
[ "$(elapsed)" = '0 s' ] || [ "$(elapsed)" = '1 s' ] || say "Ready after $(elapsed)."
