#!/usr/bin/env bash
# Every task of this project, one verb each. Requires Python 3.11 or newer (venv included). All
# other Python packages go into .venv*, at the versions of .ci/constraints.txt. PYTHON names the
# Python to use; WORKERS is the number of processes that run tests.
set -euo pipefail
cd "$(dirname "$0")"
unset PYTHONDONTWRITEBYTECODE # tests start Python hundreds of times: compile the sources once

usage() {
  cat <<'TEXT'
./build.sh run         import the sample database into a SQLite store in demo/ and show it
./build.sh test        run the tests; on Debian, install the missing browsers and servers first
                       --fast: only quick tests, no processes, browsers or servers; a minute
                       --no-install: install nothing on the system, skip the tests whose programs are missing
                       further arguments go to pytest, such as -m 'not slow'
./build.sh browsers    on Debian, install the missing browsers and drivers that tests start
./build.sh webkit      run the tests in WebKitGTK, after installing it; three minutes
./build.sh pythons     run the fast tests on the oldest and the newest Python of this machine
                       --oldest: on that one only, since test uses the newest
./build.sh pydantic    run the tests of models, and the contract in memory, with the oldest supported
                       and the newest pydantic; --oldest: with that one only;
                       arguments replace the tests (pytest's options too)
./build.sh pyodide     build the wheel with pyodide-build and run tests in its environment; this
                       downloads compilers from the internet
./build.sh check       run ruff, mypy and pyright, and check that every public type is declared
./build.sh docs        build the documentation into site/; arguments go to mkdocs build
./build.sh site        build the page with everything it needs into web/build, for any static host
./build.sh notebook    the same, with JupyterLite and the notebooks in web/build/jupyter
./build.sh serve       build the site and serve it on 127.0.0.1; arguments go to the server (--port)
./build.sh shots       take pictures of all views of the page, light, dark and on a phone, into
                       shots/; --docs: only those of the documentation, into docs/
./build.sh bench       compare with raw SQLite and other libraries; bench browser: with raw
                       JavaScript on IndexedDB; bench postgres: with raw psycopg, pgbench and
                       other libraries; further arguments go to the benchmark
./build.sh build       build the wheel and the sdist into dist/
TEXT
}

note() {
  echo "build.sh: $*" >&2
}

# Fail unless this is a new enough Python with venv; else print "VERSION PATH".
probe='
import sys, ensurepip, venv
if sys.version_info < (3, 11): sys.exit(1)
print("3.%d" % sys.version_info[1], sys.executable)'

# Print "VERSION PATH" of each usable Python, newest first: on the PATH and under pyenv.
pythons() {
  local candidate
  for candidate in python3.14 python3.13 python3.12 python3.11 python3 \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3; do
    "$candidate" -c "$probe" 2>/dev/null || true
  done | sort -t . -k 2,2nr -u
}

# Print the path of PYTHON, or of the newest Python.
python() {
  local newest
  newest=${PYTHON:-$(pythons | sed -n '1s/[^ ]* //p')}
  if [ -z "$newest" ] || ! "$newest" -c "$probe" >/dev/null 2>&1; then
    note "needs Python 3.11 or newer with venv (Debian: python3-venv); or set PYTHON"
    return 1
  fi
  echo "$newest"
}

# environment FOLDER EXTRA: create or update a virtual environment with that extra.
environment() {
  local folder=$1 extra=$2 wanted python pip
  wanted="$extra ${PYTHON:-} $(cat pyproject.toml .ci/constraints.txt | cksum)"
  if [ "$(cat "$folder/.wanted" 2>/dev/null)" != "$wanted" ]; then
    python=$(python)
    note "setting up $folder with $python"
    rm -rf "$folder.old"
    [ ! -e "$folder" ] || mv "$folder" "$folder.old"
    pip=("$folder/bin/pip" --disable-pip-version-check --quiet)
    "$python" -m venv "$folder" &&
      "${pip[@]}" install --constraint .ci/constraints.txt --upgrade pip &&
      "${pip[@]}" install --constraint .ci/constraints.txt \
        --build-constraint .ci/constraints.txt --editable ".[$extra]" || {
      rm -rf "$folder" # without a network, the old one can still be used by hand
      [ ! -e "$folder.old" ] || mv "$folder.old" "$folder"
      note "cannot set up $folder; that needs a package index once, and then again whenever pyproject.toml or .ci/constraints.txt changes"
      return 1
    }
    rm -rf "$folder.old"
    echo "$wanted" >"$folder/.wanted"
  fi
}

# What tests start, as PROGRAM:DEBIAN-PACKAGE. WebKitGTK has no headless mode: it needs a display.
browsers="chromium:chromium firefox-esr:firefox-esr"
webkit="WebKitWebDriver:webkit2gtk-driver Xvfb:xvfb"
servers="pgbouncer:pgbouncer initdb:postgresql"

# programs LIST ARGUMENTS: install the missing programs of a list, unless an argument forbids it.
programs() {
  local program missing=() sudo=
  for program in $1; do
    # Debian's programs of PostgreSQL are not on the PATH.
    PATH=$PATH:/usr/sbin command -v "${program%:*}" >/dev/null ||
      compgen -G "/usr/lib/postgresql/*/bin/${program%:*}" >/dev/null || missing+=("${program#*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [[ " $* " = *" --no-install "* ]]; then
    note "skipping the tests that need ${missing[*]}; the summary names them"
    return
  fi
  [ "$(id -u)" = 0 ] || sudo=sudo
  note "installing on this system, with apt-get: ${missing[*]} (--no-install skips their tests)"
  packages "${missing[@]}" >/dev/null ||
    note "cannot install ${missing[*]}; the summary names the tests that are skipped"
}

# packages NAMES: install Debian packages. The tests start servers themselves, so none is left
# that runs now or at the next boot.
packages() {
  local failed=0 no_cluster=/etc/postgresql-common/createcluster.d/no-main-cluster.conf
  command -v apt-get >/dev/null || return
  # Without this setting, installing postgresql creates a database cluster and starts it. It
  # applies to this installation only.
  $sudo mkdir -p "${no_cluster%/*}"
  echo 'create_main_cluster = false' | $sudo tee "$no_cluster"
  { $sudo apt-get update --quiet=2 &&
    $sudo env DEBIAN_FRONTEND=noninteractive \
      apt-get install --quiet=2 --yes --no-install-recommends "$@"; } || failed=1
  $sudo rm "$no_cluster"
  # PgBouncer has no such setting.
  if [ $failed = 0 ] && [[ " $* " = *" pgbouncer "* ]]; then
    { $sudo service pgbouncer stop && $sudo update-rc.d pgbouncer disable; } || failed=1
  fi
  return $failed
}

# tests ENVIRONMENT ARGUMENTS: run pytest. The tests of a file share a browser, so a file stays
# in one process; the longest files come first. Tests wait more than they compute, so there are
# more processes than cores.
tests() {
  local workers=4
  [[ " $* " = *" --fast "* ]] && workers=2 # they compute more than they wait
  "$1/bin/python" -m pytest -n "${WORKERS:-$workers}" --dist loadfile --no-loadscope-reorder "${@:2}"
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
  [[ " $* " = *" --fast "* ]] || programs "$browsers $servers" "$@"
  tests .venv "$@"
  ;;
browsers)
  programs "$browsers $webkit"
  ;;
webkit)
  environment .venv check
  programs "$webkit" "$@"
  tests .venv -m webkit tests/browser/test_webkit.py "$@"
  ;;
pythons)
  wanted='1p;$p'
  [ "${1:-}" != --oldest ] || { wanted='$p' && shift; }
  pythons | sed -n "$wanted" | uniq | while read -r version path; do
    PYTHON=$path environment ".venv-$version" test </dev/null
    note "the fast tests on Python $version"
    tests ".venv-$version" --fast "$@" </dev/null
  done
  ;;
pydantic)
  environment .venv check
  lowest=$(sed -n 's/.*"pydantic>=\([0-9.]*\).*/\1/p' pyproject.toml)
  newest=pydantic
  [ "${1:-}" != --oldest ] || { newest= && shift; }
  [ $# -gt 0 ] || set -- tests/model tests/contract -k "not sqlite and not pending"
  for wanted in "pydantic==$lowest" $newest; do
    # Ahead of the environment's own one on the path.
    rm -rf .venv-pydantic
    .venv/bin/pip --disable-pip-version-check --quiet install --target .venv-pydantic "$wanted"
    note "tests with $(cd .venv-pydantic && echo pydantic-*.dist-info)"
    # Pydantic holds the interpreter while it runs: only this timer can end a test within it. The
    # summary then names the test.
    PYTHONPATH=$PWD/.venv-pydantic tests .venv --fast "$@" \
      -o faulthandler_timeout=60 -o faulthandler_exit_on_timeout=true
  done
  ;;
pyodide)
  environment .venv check
  # The Python of Pyodide under Node, with pip: no threads, processes or sockets.
  .venv/bin/pyodide build --outdir dist/pyodide
  .venv/bin/pyodide venv --clear .venv-pyodide
  .venv-pyodide/bin/pip install --quiet dist/pyodide/mobstore-*.whl pytest hypothesis pytest-timeout
  .venv-pyodide/bin/python -m pytest -o timeout=0 --fast tests/model "$@"
  ;;
check)
  environment .venv check
  .venv/bin/ruff check .
  .venv/bin/ruff format --check .
  .venv/bin/mypy
  .venv/bin/pyright
  # A user's type checker reads the installed package. The list of its modules is left out.
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
notebook)
  environment .venv check
  .venv/bin/python web/tools/build_site.py --notebooks "$@"
  ;;
serve)
  environment .venv check
  .venv/bin/python web/tools/build_site.py
  exec .venv/bin/python web/tools/serve.py "$@"
  ;;
shots)
  environment .venv check
  .venv/bin/python web/tools/shots.py "$@"
  ;;
bench)
  environment .venv-bench bench
  PYTHONPATH=tests .venv-bench/bin/python -m bench "$@"
  ;;
build)
  environment .venv check
  rm -rf dist
  # The backend of the environment is pinned; an isolated build would download the newest one.
  .venv/bin/python -m build --quiet --no-isolation
  ls -l dist
  ;;
"" | help | -h | --help)
  usage
  ;;
*)
  note "there is no verb $verb"
  usage >&2
  exit 2
  ;;
esac
