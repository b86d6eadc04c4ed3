#!/usr/bin/env bash
# Sets up (tools/setup.sh), builds everything with warnings as errors into build/ci, and runs every test: about twenty
# minutes on two cores. Tests that need a GPU or NVRTC are counted as skipped where there is none.
#
#   tools/check.sh [arguments for ctest, for example -L unit]
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
case ${1:-} in
  -h | --help) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
esac
jobs=$(nproc)
step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

step "Set up"
tools/setup.sh --tests

step "Build"
launcher=()
if command -v ccache > /dev/null 2>&1; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
cmake --preset ci "${launcher[@]}"
cmake --build --preset ci --parallel "$jobs"

step "Test"
log=build/ci/ctest.log
status=0
ctest --preset ci --parallel "$jobs" --no-tests=error "$@" 2>&1 | tee "$log" || status=$?

step "Slowest tests"
sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) .* ([0-9.]+) sec *$/\2 s  \1/p' "$log" | sort -rn | head -n 10
echo
grep -E 'tests passed|tests failed' "$log" || true
exit "$status"
