#!/usr/bin/env bash
# From a fresh machine to a measured, verified, drawn kernel in one command (Debian 12, Ubuntu 24.04 and newer; as root
# or with sudo; at most five minutes on two cores):
#   1. installs what is missing (tools/setup.sh);
#   2. builds the `isofold` command into build/release;
#   3. tunes fused add + RMSNorm (N = 8192, bf16) for nine token counts, on a GPU where there is one, else on the CPU;
#   4. verifies its bits against the oracle;
#   5. draws execution time against the number of tokens into build/release/chart.
#
#   tools/quickstart.sh [--device auto|cpu|cuda:<number>]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
device=()
while [ $# -gt 0 ]; do
  case $1 in
    --device) [ $# -ge 2 ] || { echo "quickstart: --device needs a value" >&2; exit 2; }
              [[ $2 =~ ^(auto|cpu|cuda|cuda:[0-9]+)$ ]] ||
                { echo "quickstart: --device is '$2'; allowed are auto, cpu, cuda and cuda:<number>" >&2; exit 2; }
              device=(--device "$2"); shift 2 ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "quickstart: unknown argument '$1' (allowed: --device)" >&2; exit 2 ;;
  esac
done

step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

step "Set up"
tools/setup.sh

step "Build"
cmake --preset release
cmake --build --preset release

isofold=$root/build/release/tools/isofold
operator=(--op add_rms_norm -n 8192 --dtype bf16)
tokens=(--tokens 1,8,32,128,256,512,1024,2048,4096)

step "What is here"
"$isofold" doctor "${device[@]}"

step "Tune"
"$isofold" tune "${operator[@]}" "${tokens[@]}" "${device[@]}"

step "Verify"
"$isofold" verify "${operator[@]}" "${tokens[@]}" "${device[@]}"

step "Chart"
"$isofold" chart "${operator[@]}" "${tokens[@]}" "${device[@]}" --output build/release/chart

printf '\n== Done in %d s\n' "$SECONDS"
inspect=("$isofold" inspect "${operator[@]}" "${device[@]}" --tokens 128)
command=$(printf '%q ' "${inspect[@]}")
echo "The chart:                    $root/build/release/chart.html (beside it chart.svg, and the figures in chart.json)"
echo "The kernel behind a point:    ${command}--show source"
echo "Its reduction tree:           ${command}--show tree"
