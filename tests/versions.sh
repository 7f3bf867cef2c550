#!/usr/bin/env bash
# Runs the tests on the versions that jgc promises, each in a fresh environment.
#
#     tests/versions.sh [WORDS FOR PYTEST]
#
# An interpreter that is absent is skipped, loudly. Under pyenv, name those to use in
# PYENV_VERSION, for example 3.11.7:3.12.1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

words=("$@")
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
summary=()
failed=0

# Title, interpreter, then what pip must respect.
run() {
  local title="$1" python="$2" venv="$scratch/venv" result
  shift 2
  echo "=== $title"
  # A shim of pyenv can be on the PATH without a Python behind it: ask it to run.
  if ! "$python" -c '' 2>/dev/null; then
    result="SKIPPED: $python does not run here"
  elif tested "$python" "$venv" "$@"; then
    result="passed"
  else
    result="FAILED"
    failed=1
  fi
  rm -rf "$venv"
  echo "=== $title: $result"
  summary+=("$title: $result")
}

tested() {
  local python="$1" venv="$2"
  shift 2
  "$python" -m venv "$venv" &&
    "$venv/bin/pip" install -qq --disable-pip-version-check -e '.[test]' "$@" &&
    "$venv/bin/python" -m pytest -n auto ${words[@]+"${words[@]}"}
}

run "Python 3.11, jax 0.10.2" python3.11 "jax==0.10.2"
run "Python 3.11, jax 0.7.2, flax 0.11.2" python3.11 "jax==0.7.2" "flax==0.11.2"
run "Python 3.12, newest jax" python3.12 --upgrade jax flax

printf '\n'
printf '%s\n' "${summary[@]}"
exit "$failed"
