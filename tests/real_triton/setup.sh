#!/usr/bin/env bash
# Makes the environment that the real tritonserver runs in, once: .venv-triton, about 350 MB on disk.
#
# The server comes out of the wheel of nvidia-pytriton, whose own Python parts are not used. NumPy stays below 2: the
# Python backend of this server was built against NumPy 1 and garbles texts with a later one.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly VENV=.venv-triton
readonly VERSION=0.7.0
readonly READY="$VENV/.ready-$VERSION"

say() { echo "test-triton: $*"; }

put_stub_beside_backend() {
    local server minor
    server=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/pytriton/tritonserver
    minor=$("$VENV/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [[ ! -e $server/python_backend_stubs/$minor/triton_python_backend_stub ]]; then
        say "the server has no Python backend for Python $minor; set PYTHON to one of: $(ls "$server/python_backend_stubs" | xargs)"
        exit 1
    fi
    cp "$server/python_backend_stubs/$minor/triton_python_backend_stub" "$server/backends/python/"
}

if [[ ! -e $READY ]]; then
    say "creating $VENV with ${PYTHON:-python3}"
    "${PYTHON:-python3}" -m venv --clear "$VENV"
    echo '*' > "$VENV/.gitignore"
    say "installing tritonserver out of nvidia-pytriton $VERSION (about 75 MB to fetch)"
    "$VENV/bin/python" -m pip --disable-pip-version-check --quiet install --no-deps "nvidia-pytriton==$VERSION" 'numpy==1.26.4'
    put_stub_beside_backend
    touch "$READY"
fi
say "ready"
