#!/usr/bin/env bash
# What the shared libraries export and are called.
#
#   symbols_test.sh <nm> <readelf> <repository> <libisofold> <libisofold_codegen> <libisofold_runtime>
set -euo pipefail
nm=$1 readelf=$2 root=$3 c=$4 codegen=$5 runtime=$6
failed=0
fail() { failed=1; printf 'FAILED  %s\n' "$*"; }
exported() { "$nm" --dynamic --defined-only --demangle "$1" | cut -d ' ' -f 3- | grep -v '^ISOFOLD_[0-9]*$' | sort -u; }

# The C library: the functions that the header declares, each of them.
declared=$(grep -oE 'isofold_[a-z_]+\(' "$root/runtime/c/include/isofold.h" | tr -d '(' | sort -u)
of_c=$(exported "$c" | sed 's/@.*//' | sort -u)
[ "$declared" = "$of_c" ] || { fail "isofold.h and $c differ:"; diff <(echo "$declared") <(echo "$of_c") || true; }

# The C++ libraries: names of the project, of classes and functions that stand in public headers.
for library in "$codegen" "$runtime"; do
  names=$(exported "$library")
  other=$(grep -vE '^((typeinfo|typeinfo name|vtable) for )?isofold::' <<< "$names" || true)
  [ -z "$other" ] || fail "$library exports: $(head -n 3 <<< "$other")"
  while IFS= read -r name; do
    grep -rqwE -- "$name" "$root/codegen/include" "$root/runtime/include" || fail "$library exports $name, which no public header has"
  done < <(sed -nE 's/^((typeinfo|typeinfo name|vtable) for )?isofold::([A-Za-z_0-9]+).*/\3/p' <<< "$names" | sort -u)
done
grep -qE '^isofold::Runtime::Runtime' <(exported "$runtime") || fail "$runtime does not export Runtime"
grep -qE '^isofold::parse_spec' <(exported "$codegen") || fail "$codegen does not export parse_spec"
# Exceptions are caught by type across libraries, through one of them.
grep -qxF 'typeinfo for isofold::UsageError' <(exported "$codegen") || fail "$codegen does not export UsageError"

for library in "$c" "$codegen" "$runtime"; do
  grep -qE 'SONAME.*\[libisofold[a-z_]*\.so\.[0-9]+\.[0-9]+\]' <("$readelf" -d "$library") || fail "$library has no version in its SONAME"
done
[ "$failed" = 0 ] && echo "$(wc -l <<< "$declared") C functions; C++: $(exported "$codegen" | wc -l) and $(exported "$runtime" | wc -l) names"
