#!/usr/bin/env bash
# Makes cpu_hashes.jsonl anew: hashes of fixed launches on the CPU backend, which every other device must find again with
#   isofold verify --hashes tests/data/cpu_hashes.jsonl --device cuda:0
# Run it only when the numerics version changed: any other difference is a defect.
#
#   tests/data/make_cpu_hashes.sh [path of the isofold command]
set -euo pipefail

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
isofold=${1:-isofold}
file=$folder/cpu_hashes.jsonl
rm -f "$file"
hash_of() { "$isofold" verify --device cpu --tokens 1,3 --write-hashes "$file" --quiet "$@"; }

# The names of all operators: what the command's completion offers behind --op.
operators() {
  local COMP_WORDS=(isofold verify --op '') COMP_CWORD=3 COMPREPLY=()
  _isofold
  echo "${COMPREPLY[@]}"
}
completion=$("$isofold" completion bash)
eval "$completion"

# Only plain reductions have a Spec of f64: which operators are some, the command knows.
takes_f64() {
  local refusal
  refusal=$("$isofold" inspect --op "$1" -n 1000 --dtype f64 --device cpu --show plan 2>&1 > /dev/null) && return
  case $refusal in *'a spec of f64'*) return 1 ;; esac
  echo "$refusal" >&2
  exit 1
}

widths=1,7,64,100,520,1000,2048,4096,5120,7168,8192,16384,65536
for dtype in bf16 f16 f32; do
  hash_of --op rms_norm -n "$widths" --dtype "$dtype"
  hash_of --op add_rms_norm -n "$widths" --dtype "$dtype"
  hash_of --op add_rms_norm -n 520,4096 --dtype "$dtype" --weight-mode after_cast --residual-mode rounded_sum
  hash_of --op rms_norm -n 520,4096 --dtype "$dtype" --weight-offset-one --eps 1e-5
  hash_of --op rms_norm -n 520,4096 --dtype "$dtype" --no-weight
done
hash_of --op add_rms_norm -n 4096 --dtype bf16 --residual-dtype f32 --weight-dtype f32
hash_of --op add_rms_norm -n 4096 --dtype f16 --residual-dtype f32 --output-dtype bf16
hash_of --op rms_norm -n 4096 --dtype f32 --output-dtype bf16 --weight-dtype f16
hash_of --op rms_norm -n 4096 --dtype bf16 --fold "leaf=8 lanes=128 segments=4"
hash_of --op rms_norm -n 4096 --dtype bf16 --fold "leaf=4 lanes=32 segments=16"
for operator in $(operators); do
  case $operator in rms_norm | add_rms_norm) continue ;; esac  # above
  hash_of --op "$operator" -n 777,4096 --dtype bf16
  hash_of --op "$operator" -n 1000 --dtype f32
done
for operator in $(operators); do
  if takes_f64 "$operator"; then hash_of --op "$operator" -n 1000 --dtype f64; fi
done
hash_of --op softmax -n 128256 --dtype bf16
hash_of --spec 'functions N=1000 (x: f32[row]) { a: f32 = exp(x); c: f32 = exp_nonpositive(x); d: f32 = log(x); f: f32 = sigmoid(x); g: f32 = silu(x); h: f32 = tanh(x); j: f32 = erf(x); l: f32 = gelu(x); m: f32 = gelu_tanh(x); q: f32 = rsqrt(x) }'
