#!/usr/bin/env bash
# Makes .venv in the working folder with the versions of the locks; `make setup` calls it each time, and where
# nothing has changed it has nothing to do. Settings, from the environment:
#
#   PYTHON          the interpreter. Default: that of .venv, else the newest of 3.13, 3.12 and 3.11 on the path;
#                   one for which torch lies in PIP_FIND_LINKS comes first. Where there is none, uv fetches it.
#   TORCH           cpu or gpu. Default: that of .venv, else gpu where there is an NVIDIA device. gpu is 3.7 GB more.
#   PIP_FIND_LINKS  folders with wheels; default: those of pip's configuration, which uv does not read.
#
# With --plan it says what it would do and does nothing.
set -euo pipefail

locks=$(dirname "$0")
mark=.venv/.installed # says what is installed; without it an environment is half made
supported="3.13 3.12 3.11"

fail() {
  echo "$1" >&2
  exit 1
}

pin_of() { sed -n "s/^\($1==[^ ]*\).*/\1/p" "$locks/lock.txt"; }

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

recorded() { if [ -e "$mark" ]; then sed -n "s/.*$1=\([^ ]*\).*/\1/p" "$mark"; fi; }

# Debian's Python has no ensurepip until python3-venv is installed; uv makes an environment without it.
makes_environments() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

nvidia_device() { nvidia-smi -L >/dev/null 2>&1 || compgen -G '/dev/nvidia[0-9]*' >/dev/null; }

wheel_for() { # is there a wheel of the locked torch for Python $1 in a folder of wheels
  local folder torch
  torch=$(pin_of torch)
  for folder in $links; do
    if compgen -G "${folder#file://}/${torch/==/-}[+-]*cp${1/./}-cp${1/./}-*.whl" >/dev/null; then return 0; fi
  done
  return 1
}

# Lines of a version and an interpreter, the newest first: what $PYTHON names, or what is on the path.
interpreters() {
  local name found version
  for name in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
    found=$(command -v "$name") || continue
    version=$(version_of "$found")
    if [[ -n $version && " $supported " == *" $version "* ]]; then
      if makes_environments "$found" || command -v uv >/dev/null; then echo "$version $found"; fi
    fi
  done | sort --stable --version-sort --reverse --key=1,1
}

# The line to take: the first with a wheel of torch, where the build for the CPU is wanted, or the first.
prefer_a_wheel() {
  local line first=""
  while read -r line; do
    first=${first:-$line}
    if [ "$torch" = cpu ] && wheel_for "${line%% *}"; then first=$line && break; fi
  done
  echo "$first"
}

choose() { # sets torch, links, version, python, source
  torch=${TORCH:-$(recorded torch)}
  torch=${torch:-$(if nvidia_device; then echo gpu; else echo cpu; fi)}
  [[ $torch = cpu || $torch = gpu ]] || fail "TORCH=$torch: say cpu or gpu."
  links=${PIP_FIND_LINKS:-$(python3 -m pip config get global.find-links 2>/dev/null | tr '\n' ' ' || true)}
  local line=""
  if [ -z "${PYTHON:-}" ] && [ -n "$(recorded python)" ]; then
    line="$(version_of .venv/bin/python) .venv/bin/python"
    [ "${line%% *}" = "$(recorded python)" ] || line=""
  fi
  [ -n "$line" ] || line=$(interpreters | prefer_a_wheel)
  if [ -z "$line" ] && [ -n "${PYTHON:-}" ]; then
    fail "PYTHON=$PYTHON is no Python of $supported with its venv module. Name another one, or none."
  elif [ -z "$line" ]; then
    command -v uv >/dev/null || fail "There is no Python of $supported with its venv module. Install one, or install uv, which fetches one, or name one: make PYTHON=/path/to/python"
    line=$(for version in $supported; do echo "$version $version"; done | prefer_a_wheel)
  fi
  version=${line%% *} python=${line#* }
  source=registry
  if [ "$torch" = cpu ]; then
    source=$(if wheel_for "$version"; then echo folder; else echo pytorch; fi)
  fi
}

up_to_date() {
  local input
  [ -e "$mark" ] || return 1
  for input in "$locks"/*.txt pyproject.toml; do
    [ "$mark" -nt "$input" ] || return 1
  done
  [[ -z ${TORCH:-} || $TORCH = "$(recorded torch)" ]] || return 1
  [[ -z ${PYTHON:-} || $(version_of "$PYTHON") = "$(recorded python)" ]]
}

make_environment() {
  rm -rf .venv
  if makes_environments "$python"; then
    "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$(pin_of uv)"
  else
    uv venv --quiet --python "$python" .venv
    uv pip install --quiet --python .venv/bin/python "$(pin_of uv)"
  fi
}

rm_bytecode_of_tests() { # of the libraries' own, which nobody runs here: 95 MB
  find .venv -path '*/site-packages/*/tests/*' -name '*.pyc' -delete
}

install() {
  local files=("$locks/lock.txt") options=() folder
  [ "$torch" = cpu ] || files+=("$locks/cuda.txt")
  [ "$source" != pytorch ] || options+=(--torch-backend cpu)
  for folder in $links; do
    # A build for the CPU counts as newer than the registry's, which is the one for NVIDIA devices.
    if [ "$torch" = gpu ] && compgen -G "${folder#file://}/torch-*+cpu-*" >/dev/null; then continue; fi
    options+=(--find-links "$folder")
  done
  echo "==> installing $(cat "${files[@]}" | grep -c ==) pinned packages (minutes the first time, seconds when cached)"
  rm -f "$mark"
  echo "-e ." | .venv/bin/uv pip sync --quiet --compile-bytecode --python .venv/bin/python \
    ${options[@]+"${options[@]}"} "${files[@]}" - && rm_bytecode_of_tests && return
  [ "$source" != pytorch ] || echo "torch for the CPU comes from PyTorch's own index (uv's --torch-backend). Where that cannot be reached, name a folder with the wheel for Python $version in PIP_FIND_LINKS, or say TORCH=gpu: that build runs without a device too." >&2
  exit 1
}

if [ "${1:-}" != --plan ] && up_to_date; then exit; fi
choose
echo "==> virtual environment .venv: Python $version ($python), torch for $torch from $source"
if [ "${1:-}" = --plan ]; then exit; fi
if [ ! -e "$mark" ] || [ "$(version_of .venv/bin/python)" != "$version" ] || [ ! -x .venv/bin/uv ]; then make_environment; fi
install
echo "python=$version torch=$torch" >"$mark"
