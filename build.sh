#!/usr/bin/env bash
# Everything that is done with this project, each by one verb. Needs Python 3.11 or newer; the
# rest is installed into .venv (and .venv-bench), at the versions of .ci/constraints.txt.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
  cat <<'TEXT'
./build.sh run     import the sample database into a SQLite store in demo/ and look into it
./build.sh test    run the tests; further arguments go to pytest, such as -m 'not slow'
./build.sh check   ruff, mypy and pyright, also that every public type is declared
./build.sh docs    build the documentation into site/; arguments go to mkdocs build
./build.sh site    build the page with all it needs into web/build, for any static host
./build.sh serve   build the site and serve it on 127.0.0.1; arguments go to the server, such as --port
./build.sh bench   measure against raw SQLite and other libraries; bench browser: against raw
                   JavaScript on IndexedDB; further arguments go to the benchmark
./build.sh build   build the wheel and the sdist into dist/
TEXT
}

# The first Python that is new enough, unless PYTHON names one.
python() {
  local candidate
  for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if "$candidate" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "build.sh: needs Python 3.11 or newer with venv (Debian: python3-venv); or set PYTHON" >&2
  return 1
}

# environment FOLDER EXTRA: an up-to-date virtual environment with that extra installed.
environment() {
  local folder=$1 extra=$2 wanted
  wanted="$extra $(cat pyproject.toml .ci/constraints.txt | sha256sum)"
  if [ "$(cat "$folder/.wanted" 2>/dev/null)" != "$wanted" ]; then
    echo "build.sh: setting up $folder" >&2
    rm -rf "$folder"
    "$(python)" -m venv "$folder"
    "$folder/bin/pip" install --quiet --quiet --constraint .ci/constraints.txt --upgrade pip
    "$folder/bin/pip" install --quiet --quiet --constraint .ci/constraints.txt \
      --build-constraint .ci/constraints.txt --editable ".[$extra]"
    echo "$wanted" >"$folder/.wanted"
  fi
}

# The browsers of the tests: installed where that may be done, or else a word on how.
browsers() {
  local program missing=()
  for program in chromium firefox-esr; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "build.sh: installing ${missing[*]}" >&2
    { apt-get update --quiet=2 &&
      apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}"; } >/dev/null && return
  fi
  echo "build.sh: tests in a browser need ${missing[*]} (Debian: apt-get install ${missing[*]})" >&2
}

verb=${1:-}
[ $# -gt 0 ] && shift
case $verb in
run)
  environment .venv check
  rm -rf demo && mkdir demo
  gunzip --stdout tests/golden/tide-desk-meerkat-0.5.2.db.gz >demo/tide-desk.db
  url=sqlite:demo/mobs.db
  show() {
    printf '\n$ mobstore %s\n' "$*"
    .venv/bin/mobstore "$@"
  }
  show import demo/tide-desk.db "$url"
  show info "$url"
  show runs "$url"
  show run "$url" 24ede6a4-6b4c-4242-8a23-d5962217bead
  show events "$url" --after 89
  printf '\nThe same in a browser: ./build.sh serve\n'
  ;;
test)
  environment .venv check
  browsers
  # Two at a time, by the file: the tests of one share a browser. The longest files come first.
  .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
  ;;
check)
  environment .venv check
  .venv/bin/ruff check .
  .venv/bin/ruff format --check .
  .venv/bin/mypy
  .venv/bin/pyright
  # What a user's type checker sees of an installed package; of the list of modules nobody asks.
  PATH="$PWD/.venv/bin:$PATH" pyright --verifytypes mobstore --ignoreexternal | sed '1,/^Symbols used/d'
  ;;
docs)
  environment .venv check
  NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --config-file docs/config/mkdocs.yml "$@"
  ;;
site)
  environment .venv check
  .venv/bin/python web/tools/build_site.py "$@"
  ;;
serve)
  environment .venv check
  .venv/bin/python web/tools/build_site.py
  exec .venv/bin/python web/tools/serve.py "$@"
  ;;
bench)
  environment .venv-bench bench
  PYTHONPATH=tests .venv-bench/bin/python -m bench "$@"
  ;;
build)
  environment .venv check
  rm -rf dist
  # With the backend of the environment, which is pinned: in isolation the newest would be fetched.
  .venv/bin/python -m build --quiet --no-isolation
  ls -l dist
  ;;
*)
  usage
  [ -z "$verb" ] || [ "$verb" = help ] || exit 2
  ;;
esac
