#!/usr/bin/env bash
# Runs what README.md and docs/*.md tell people to type, and checks what they say beside it.
#
#   commands_test.sh <isofold> <repository>
#
# Every command of every ```sh block runs in a scratch folder with a home of its own. A word behind ```sh names what the
# block needs (`needs` below); where that is absent the commands are printed as skipped. ```<language> excerpt is what the
# command before it prints: its lines, in order; "..." leaves lines out. ```<language> from <file> stands in that file.
# docs/environment.md lists the variables that the command knows.
set -uo pipefail

isofold=$(realpath "$1")
root=$(realpath "$2")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0 skipped=0 failed=0

ok() { passed=$((passed + 1)); printf 'ok      %s\n' "$*"; }
skip() { skipped=$((skipped + 1)); printf 'skipped %s\n' "$*"; }
fail() { failed=$((failed + 1)); printf 'FAILED  %s\n' "$*"; }

# A copy of the checkout to run in: what a command writes stays in the scratch folder.
mkdir "$scratch/home" "$scratch/bin" "$scratch/work" "$scratch/tmp"
ln -s "$isofold" "$scratch/bin/isofold"
for item in "$root"/*; do
  [ "${item##*/}" = build ] || cp -r "$item" "$scratch/work/"
done
cd "$scratch/work"
for variable in $(compgen -e | grep -E '^(ISOFOLD_|XDG_CACHE_HOME$)' | grep -vE '^ISOFOLD_(NVRTC|CUDA)$'); do
  unset "$variable"
done
export HOME="$scratch/home" TMPDIR="$scratch/tmp" PATH="$scratch/bin:$PATH" NO_COLOR=1
output="$scratch/output" errors="$scratch/errors"

# 0 when the machine has what a block needs, 1 when it has not. Exit code 2 of the command says that something is absent.
declare -A known
needs() {
  [ -n "$1" ] || return 0
  if [ -z "${known[$1]:-}" ]; then
    local probe=(isofold inspect --op rms_norm -n 64)
    case $1 in
      device) probe+=(--show plan) ;;
      gpu) probe+=(--device cuda:0 --show plan) ;;
      llvm) probe+=(--device x86-64 --show plan) ;;
      nvrtc) probe+=(--device sm_90 --show ptx) ;;
      sass) probe+=(--device sm_90 --show sass) ;;
      python) probe=(python3 -c pass) ;;
      torch) probe=(python3 -c 'import sys, importlib.util as u; sys.exit(0 if u.find_spec("torch") and __import__("torch").cuda.is_available() else 2)') ;;
      *) fail "a block needs '$1', which this test does not know"; return 1 ;;
    esac
    "${probe[@]}" > /dev/null 2> "$errors"
    known[$1]=$?
    case ${known[$1]} in
      0 | 2 | 127) ;;
      *) fail "${probe[*]}: exit code ${known[$1]}"; cat "$errors" ;;
    esac
  fi
  [ "${known[$1]}" = 0 ]
}

# Commands that do not run here, and why; what they name must exist. 1 when the command is none of them.
listed() {
  local place=$1 command=$2 script=${2%% *} name
  case $command in
    tools/quickstart.sh* | tools/check.sh* | tools/setup.sh*)  # install packages, take minutes; continuous integration runs check.sh
      if [ -x "$root/$script" ] && bash -n "$root/$script"; then skip "$place  (installs and builds)  $command"
      else fail "$place  $command: no such script, or not a valid one"; fi ;;
    'cmake --preset '* | 'cmake --build --preset '*)  # take minutes; check.sh does the same with another preset
      name=${command#*--preset }
      if grep -q "{\"name\": \"${name%% *}\"" "$root/CMakePresets.json"; then skip "$place  (builds)  $command"
      else fail "$place  $command: no such preset"; fi ;;
    'ctest --preset '*)
      name=${command#*--preset }
      if grep -q "{\"name\": \"${name%% *}\"" "$root/CMakePresets.json"; then skip "$place  (takes a build with that preset)  $command"
      else fail "$place  $command: no such preset"; fi ;;
    'cmake --install build/release '*) skip "$place  (tests/package installs)  $command" ;;
    'pip install ./runtime/python') skip "$place  (tests/python installs)  $command" ;;
    'python3 tools/python/eager_time.py')  # needs the package and PyTorch; tests/python runs it
      if [ -f "$root/tools/python/eager_time.py" ]; then skip "$place  (tests/python runs it)  $command"
      else fail "$place  $command: no such script"; fi ;;
    '(cd build/release && cpack)') skip "$place  (tests/package packs)  $command" ;;
    'cmake -S docs/examples '* | 'cmake --build examples') skip "$place  (tests/package builds the examples)  $command" ;;
    'cc program.c $(pkg-config --cflags --libs isofold)') skip "$place  (tests/package builds with pkg-config)  $command" ;;
    *) return 1 ;;
  esac
}

run_command() {
  local place=$1 need=$2 command=$3 status=0 limit=60
  [ "$need" != gpu ] && [ "$need" != torch ] || limit=300  # measures for minutes where there is one
  listed "$place" "$command" && return
  if ! needs "$need"; then skip "$place  (no $need here)  $command"; return; fi
  timeout "$limit" bash -euo pipefail -c "$command" > "$output" 2> "$errors" < /dev/null || status=$?
  if [ "$status" = 0 ]; then ok "$place  $command"; return; fi
  fail "$place  $command: exit code $status"
  tail -n 20 "$output" "$errors"
}

check_excerpt() {
  local place=$1 need=$2 lines=$3 missing
  if ! needs "$need"; then skip "$place  (no $need here)  excerpt"; return; fi
  missing=$(awk '
    NR == FNR { want[++count] = $0; next }
    { got[++total] = $0 }
    END {
      free = 1
      for (i = 1; i <= count; ++i) {
        if (want[i] == "...") { free = 1; continue }
        for (++at; free && at <= total && got[at] != want[i]; ) ++at
        if (at > total || got[at] != want[i]) { print want[i]; exit }
        free = 0
      }
    }' "$lines" "$output")
  if [ -z "$missing" ]; then ok "$place  excerpt"
  else fail "$place  excerpt: the command before it does not print this line here: $missing"; fi
}

# Lines that are said to stand in a file of the repository stand there, one after the other.
check_from() {
  local place=$1 file=$2 lines=$3
  if [ -f "$root/$file" ] && python3 -c 'import sys; sys.exit(open(sys.argv[1]).read() not in open(sys.argv[2]).read())' "$lines" "$root/$file"
  then ok "$place  from $file"
  else fail "$place  these lines do not stand in $file"; fi
}

# run_block <file> <line> <needs> <file with its lines>
run_block() {
  local number=$2 first line command=""
  while IFS= read -r line; do
    number=$((number + 1))
    [ -n "$command" ] || first=$number
    if [[ $line == *\\ ]]; then command+=${line%\\}; continue; fi
    command+=$line
    [[ $command =~ ^[[:space:]]*(#.*)?$ ]] || run_command "$1:$first" "$3" "$command"
    command=""
  done < "$4"
}

run_document() {
  local document=$1 number=0 begin=0 language="" info="" need="" line
  while IFS= read -r line; do
    number=$((number + 1))
    if [ "$begin" = 0 ]; then
      [[ $line =~ ^\`\`\`([a-z]*)\ ?(.*)$ ]] || continue
      begin=$number language=${BASH_REMATCH[1]} info=${BASH_REMATCH[2]}
      : > "$scratch/block"
    elif [ "$line" != '```' ]; then
      printf '%s\n' "$line" >> "$scratch/block"
    else
      if [ "$language" = sh ]; then
        need=$info
        run_block "$document" "$begin" "$need" "$scratch/block"
      elif [ "$info" = excerpt ]; then
        check_excerpt "$document:$begin" "$need" "$scratch/block"
      elif [[ $info == from\ * ]]; then
        check_from "$document:$begin" "${info#from }" "$scratch/block"
      fi
      begin=0
    fi
  done < "$root/$document"
  [ "$begin" = 0 ] || fail "$document:$begin  a block that does not end"
}

cd "$root" && documents=(README.md docs/*.md) && cd "$scratch/work"
for document in "${documents[@]}"; do
  run_document "$document"
done

described=$(grep -oE '^\| `ISOFOLD_[A-Z_]+`' "$root/docs/environment.md" | grep -oE 'ISOFOLD_[A-Z_]+' | sort)
existing=$(isofold doctor --json | grep -oE '"variable": "ISOFOLD_[A-Z_]+"' | grep -oE 'ISOFOLD_[A-Z_]+' | sort)
if [ -n "$existing" ] && [ "$described" = "$existing" ]; then ok "docs/environment.md lists what isofold doctor lists"
else fail "docs/environment.md and isofold doctor list different variables"; fi

printf '%d passed, %d skipped, %d failed\n' "$passed" "$skipped" "$failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
