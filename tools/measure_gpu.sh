#!/usr/bin/env bash
# What the figures of docs/benchmarks.md and the shipped tuning tables are made with, on a machine with a GPU.
#
#   tools/measure_gpu.sh OUTPUT_FOLDER STAGE...
#
# Stages: build, test (ctest -L gpu), sanitize (compute-sanitizer on every template), verify (over 10^9 elements),
# tables (tunes what runtime/tables ships), folds (the price of invariance), bench (against the alternatives, host
# costs), operators (every named operator beside PyTorch and Triton, or those in OPERATORS), huge (rows of millions
# with a workspace: bits and time), python (tests of the package, time of calls; build with -DISOFOLD_PYTHON=ON),
# accuracy (errors beside PyTorch's), chart (the origin chart, and others). Each writes its log and results to
# OUTPUT_FOLDER. CMAKE_ARGS are given to CMake.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ $# -lt 2 ] || [ "$1" = --help ]; then sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2; fi
out=$1
shift
mkdir -p "$out"
build=build/gpu
isofold=$build/tools/isofold
tokens=1,8,32,128,256,512,1024,2048,4096,16384
run() { printf '\n== %s (%d s)\n' "$*" "$SECONDS" >&2; "$@"; }

stage_build() {
  # shellcheck disable=SC2086
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release ${CMAKE_ARGS:-} > "$out/configure.log"
  cmake --build "$build" --target isofold_command gpu_invariance gpu_launch gpu_tuner > "$out/build.log"
}
stage_test() { ctest --test-dir "$build" -L gpu --output-on-failure 2>&1 | tee "$out/test.log" | tail -n 12; }
stage_sanitize() {
  for tool in memcheck racecheck synccheck initcheck; do
    for program in "gpu_invariance -tse=thorough" gpu_launch; do
      # shellcheck disable=SC2086
      run compute-sanitizer --tool "$tool" --error-exitcode 9 "$build"/tests/gpu/$program > "$out/$tool-${program%% *}.log" 2>&1 || true
      tail -n 1 "$out/$tool-${program%% *}.log"
    done
  done
}
stage_verify() {
  for operator in "rms_norm -n 4096" "add_rms_norm -n 8192" "add_rms_norm -n 5120 --dtype f16 --residual-mode rounded_sum --weight-mode after_cast"; do
    # shellcheck disable=SC2086
    run "$isofold" verify --quiet --op $operator --tokens 1..1024 --all-schedules
  done 2>&1 | tee "$out/verify.log"
}
stage_tables() {
  for operator in rms_norm add_rms_norm; do
    for dtype in bf16 f16; do
      run "$isofold" tune --quiet --op $operator --dtype $dtype -n 1024,2048,3072,4096,5120,6144,7168,8192,12288,16384 \
        --tokens $tokens --output "$out/table.jsonl"
    done
  done > "$out/tables.log" 2>&1
  tail -n 15 "$out/tables.log"
}
stage_folds() {
  run "$isofold" tune --quiet --folds --op add_rms_norm -n 2048,4096,5120,7168,8192,16384 --tokens $tokens \
    --output "$out/folds.jsonl" > "$out/folds.log" 2>&1
  cat "$out/folds.log"
}
stage_bench() {
  for operator in "rms_norm -n 4096" "rms_norm -n 5120" "rms_norm -n 8192" "add_rms_norm -n 2048" "add_rms_norm -n 4096" \
    "add_rms_norm -n 5120" "add_rms_norm -n 8192" "add_rms_norm -n 16384"; do
    # shellcheck disable=SC2086
    run "$isofold" bench --quiet --op $operator --tokens $tokens
  done 2>&1 | tee "$out/bench.log"
}
named="rms_norm add_rms_norm gated_rms_norm rms_norm_quant rms_norm_quant_i8 rms_norm_static_quant add_rms_norm_quant
  silu_and_mul_quant silu_and_mul_static_quant head_rms_norm group_norm layer_norm add_layer_norm softmax log_softmax masked_softmax sink_softmax cross_entropy sum mean max min amax sum_of_squares norm2 logsumexp"
stage_operators() {
  for operator in ${OPERATORS:-$named}; do
    case $operator in
      head_rms_norm) shape="-n 128 --tokens 16,512,8192,131072" ;;
      group_norm) shape="-n 512 --tokens 8,256,4096,32768" ;;
      *) shape="-n 4096 --tokens 1,32,512,4096" ;;
    esac
    # shellcheck disable=SC2086
    run "$isofold" bench --quiet --no-folds --no-host --op "$operator" $shape
    case $operator in softmax | log_softmax)
      run "$isofold" bench --quiet --no-folds --no-host --op "$operator" -n 128256 --dtype f32 --tokens 1,8,32,128,512 ;;
    esac
  done 2>&1 | tee -a "$out/operators.log"
}
stage_huge() {
  for operator in sum norm2 logsumexp softmax layer_norm; do
    for n in 1048576 4194304 16777216; do
      run "$isofold" tune --quiet --op $operator -n $n --tokens 1,2,4,16 --output "$out/huge.jsonl"
      ISOFOLD_TABLES=$out/huge.jsonl run "$isofold" verify --quiet --op $operator -n $n --tokens 1..4 --all-schedules
      ISOFOLD_TABLES=$out/huge.jsonl run "$isofold" bench --quiet --no-folds --no-host --op $operator -n $n --tokens 1,4,16
    done
  done 2>&1 | tee "$out/huge.log"
}
stage_python() {
  cmake --build "$build" --target isofold_python >> "$out/build.log"
  export PYTHONPATH=$build/python PYTHONDONTWRITEBYTECODE=1
  ISOFOLD_SOURCE=$PWD ISOFOLD_CACHE=off run python3 -m pytest -q -p no:cacheprovider -rs tests/python > "$out/pytest.log" 2>&1 || true
  tail -n 1 "$out/pytest.log"
  run python3 tests/python/pytorch/block.py 2>&1 | tee "$out/block.log"
  for tokens in 1 8 8; do run python3 tools/python/eager_time.py --tokens $tokens; done 2>&1 | tee "$out/eager.log"
}
stage_accuracy() {  # exit code 1: something is worse, which the table says
  run "$isofold" accuracy --quiet --all -n 4096 --markdown "$out/accuracy.md" > "$out/accuracy.log" 2>&1 || [ $? = 1 ]
  tail -n 3 "$out/accuracy.log"
}
stage_chart() {
  run "$isofold" chart --quiet --op add_rms_norm -n 8192 --output "$out/chart" 2>&1 | tee "$out/chart.log"
  for operator in "layer_norm -n 8192" "softmax -n 128256 --dtype f32 --tokens 1,8,32,128,512"; do
    # shellcheck disable=SC2086
    run "$isofold" chart --quiet --op $operator --output "$out/chart-${operator%% *}" 2>&1 | tee -a "$out/chart.log"
  done
}

for stage in "$@"; do
  printf '\n==== %s (%d s)\n' "$stage" "$SECONDS"
  "stage_$stage"
done
