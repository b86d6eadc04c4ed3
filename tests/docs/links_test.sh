#!/usr/bin/env bash
# Links of README.md and docs/*.md to files and to headings lead somewhere.
#
#   links_test.sh <the repository, or a folder that they are installed in>
set -euo pipefail
cd "$1"
count=0 failed=0
fail() { failed=1; printf 'FAILED  %s\n' "$*"; }

# The anchors that headings make: lower case, punctuation gone, blanks are hyphens.
anchors() { sed -nE 's/^#+ +//p' "$1" | tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'; }

for document in README.md docs/*.md; do
  while IFS= read -r target; do
    case $target in http://* | https://*) continue ;; esac
    count=$((count + 1)) file=${target%%#*} anchor=""
    [ "$file" = "$target" ] || anchor=${target#*#}
    if [ -z "$file" ]; then file=$document; else file=$(dirname "$document")/$file; fi
    if [ ! -e "$file" ]; then fail "$document  dead link: $target"
    elif [ -n "$anchor" ] && ! grep -qxF -- "$anchor" <(anchors "$file"); then fail "$document  dead anchor: $target"
    fi
  done < <(grep -oE '\]\([^)]+\)' "$document" | sed -E 's/^\]\(//; s/\)$//')
done
[ "$failed" = 0 ] && [ "$count" -gt 0 ] && echo "$count links"
