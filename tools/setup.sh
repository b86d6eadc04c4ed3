#!/usr/bin/env bash
# Installs what building Isofold needs and this machine lacks, from the distribution's own packages (Debian 12, Ubuntu
# 24.04 and newer; as root or with sudo). Nothing is installed, and no network is used, when nothing is missing.
#
#   tools/setup.sh            what the libraries and the command need
#   tools/setup.sh --tests    and what the tests need; for those of the Python package build/venv, with nanobind, pytest, ...
#   tools/setup.sh --torch    and PyTorch in build/venv, for the tests of isofold.torch: 3 GB from PyPI, 5 GB on the disk
#
# LLVM (the CPU backend) and rapidcheck (property tests) are optional: when they cannot be had, a line says so and the
# build goes on without them.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tests=no torch=no
for argument in "$@"; do
  case $argument in
    --tests) tests=yes ;;
    --torch) tests=yes torch=yes ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "setup: unknown argument '$argument' (allowed: --tests, --torch)" >&2; exit 2 ;;
  esac
done

say() { echo "setup: $*"; }
has_command() { command -v "$1" > /dev/null 2>&1; }

# True when version $1 is at least $2.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

cmake_works() {
  has_command cmake && at_least "$(cmake --version | sed -n '1s/[^0-9]*//p')" 3.25
}
compiler_works() { echo '#include <concepts>' | "${CXX:-c++}" -std=c++20 -fsyntax-only -x c++ - > /dev/null 2>&1; }

# Names of the libraries that CMake finds, one per line.
found_libraries() {
  cmake_works && compiler_works && has_command ninja || return 0
  local build
  build=$(mktemp -d)
  cmake -S "$root/tools/cmake/probe" -B "$build" -G Ninja 2> /dev/null | sed -n 's/^-- have //p' || true
  rm -rf "$build"
}

# Sets `required` and `optional` to the packages of what is missing. LLVM is named "llvm": which version there is shows
# only after the package lists are read.
find_missing() {
  required=() optional=()
  cmake_works || required+=(cmake)
  has_command ninja || required+=(ninja-build)
  compiler_works || required+=(g++)
  local found
  found=$'\n'$(found_libraries)$'\n'
  local need_required=(fmt:libfmt-dev nlohmann_json:nlohmann-json3-dev CLI11:libcli11-dev xxHash:libxxhash-dev)
  local need_optional=(LLVM:llvm)
  if [ "$tests" = yes ]; then
    need_required+=(doctest:doctest-dev)
    need_optional+=(rapidcheck:librapidcheck-dev)
  fi
  local pair
  for pair in "${need_required[@]}"; do
    [[ $found == *$'\n'${pair%%:*}$'\n'* ]] || required+=("${pair#*:}")
  done
  for pair in "${need_optional[@]}"; do
    [[ $found == *$'\n'${pair%%:*}$'\n'* ]] || optional+=("${pair#*:}")
  done
}

# Command prefix that makes us root; "no" where there is no way.
as_root=no
if [ "$(id -u)" = 0 ]; then
  as_root=""
elif has_command sudo; then
  as_root=sudo
fi
apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"; }

newest_llvm_package() {
  local version
  for version in 19 18 17 16 15; do
    if apt-cache show "llvm-$version-dev" > /dev/null 2>&1; then
      echo "llvm-$version-dev"
      return
    fi
  done
}

without() {
  case $1 in
    llvm*) say "no LLVM 15 to 20: building without the CPU backend" ;;
    *) say "$1 cannot be installed: building without it" ;;
  esac
}

# The Python of the tests: its own environment, from PyPI. Not made where the python3 at hand has everything by itself.
venv=$root/build/venv
python_packages=(nanobind scikit-build-core pytest numpy ml_dtypes mypy)
python_works() {
  "$1" -c "import sys, os, sysconfig; assert sys.version_info >= (3, 10)
assert os.path.exists(os.path.join(sysconfig.get_paths()['include'], 'Python.h'))" > /dev/null 2>&1
}
# Sets `lacking` to the packages of "$2"... that Python $1 has not.
find_lacking() {
  mapfile -t lacking < <("$1" -c "import importlib.util, sys
for name in sys.argv[1:]:
    if importlib.util.find_spec(name.replace('-', '_')) is None: print(name)" "${@:2}" 2> /dev/null || printf '%s\n' "${@:2}")
}
make_venv() {
  if ! python_works python3 || ! python3 -c "import ensurepip" > /dev/null 2>&1; then
    if [ "$as_root" != no ]; then
      apt update > /dev/null 2>&1 || true
      apt install --no-install-recommends -y python3-dev python3-venv > /dev/null 2>&1 || true
    fi
  fi
  python3 -m venv --clear "$venv" > /dev/null 2>&1
}
install_in_venv() { "$venv/bin/python3" -m pip -q install "$@" > /dev/null 2>&1; }
set_up_python() {
  local packages=("${python_packages[@]}") python=python3 new=no
  [ "$torch" = no ] || packages+=(torch)
  [ ! -e "$venv" ] || python=$venv/bin/python3
  find_lacking "$python" "${packages[@]}"
  if python_works "$python" && [ ${#lacking[@]} = 0 ]; then return; fi
  if ! python_works "$venv/bin/python3"; then
    new=yes
    make_venv || true
    if ! python_works "$venv/bin/python3"; then
      rm -rf "$venv"
      say "no Python environment (it takes python3 3.10 with headers and venv): the Python package is not built and not tested"
      return
    fi
  fi
  find_lacking "$venv/bin/python3" "${python_packages[@]}"
  if [ ${#lacking[@]} -gt 0 ] && ! install_in_venv "${lacking[@]}"; then
    if [ $new = no ]; then
      say "build/venv lacks ${lacking[*]}, and PyPI is not to be had: tests that need them are skipped"
    else
      rm -rf "$venv"
      say "no Python environment (it takes python3 3.10 with headers and venv, and PyPI): the Python package is not built and not tested"
      return
    fi
  fi
  if [ "$torch" = yes ]; then
    find_lacking "$venv/bin/python3" torch
    if [ ${#lacking[@]} -gt 0 ] && ! install_in_venv "torch>=2.10"; then
      say "build/venv lacks PyTorch, and PyPI is not to be had: the tests of isofold.torch are skipped"
    fi
  fi
  find_lacking "$venv/bin/python3" "${packages[@]}"
  [ ${#lacking[@]} -gt 0 ] || say "build/venv has ${packages[*]}"
}

find_missing
if [ "$tests" = yes ]; then set_up_python; fi
if [ ${#required[@]} = 0 ] && [ ${#optional[@]} = 0 ]; then
  say "everything is here, nothing to install"
  exit 0
fi

if ! has_command apt-get || [ "$as_root" = no ]; then
  if [ ${#required[@]} -gt 0 ]; then
    echo "setup: missing here, as Debian and Ubuntu name the packages: ${required[*]}" >&2
    echo "setup: they cannot be installed from here (it takes apt-get, and root or sudo); install them and try again" >&2
    exit 2
  fi
  for package in "${optional[@]}"; do without "$package"; done
  exit 0
fi

say "missing: ${required[*]} ${optional[*]}"
if ! apt update > /dev/null 2>&1; then
  say "the package lists could not be renewed (no network?), trying with what is there"
fi
if [ ${#required[@]} -gt 0 ] && ! apt install --no-install-recommends -y "${required[@]}" > /dev/null; then
  echo "setup: apt-get could not install: ${required[*]}" >&2
  exit 2
fi
for package in "${optional[@]}"; do
  [ "$package" != llvm ] || package=$(newest_llvm_package)
  [ -n "$package" ] || { without llvm; continue; }
  apt install --no-install-recommends -y "$package" > /dev/null 2>&1 || without "$package"
done

# What was installed has to be found now; optional packages were spoken of above.
find_missing
if [ ${#required[@]} -gt 0 ]; then
  echo "setup: installed, but still not usable: ${required[*]} (cmake 3.25 or newer and a C++20 compiler are needed)" >&2
  exit 2
fi
say "done"
