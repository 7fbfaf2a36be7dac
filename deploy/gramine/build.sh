#!/usr/bin/env bash
# Makes an enclave of a party's binary, and prints what it will measure.
#
#   deploy/gramine/build.sh BINARY SIGNING_KEY.pem [OUTPUT FOLDER]
#
# BINARY is what deploy/reproducible-build.sh made. The key is an RSA key of 3072 bits with exponent 3 (gramine-sgx-gen-private-key makes one); it
# names the signer (MRSIGNER). MRENCLAVE does not depend on it.
# ENCLAVE_SIZE (16G) and MAX_THREADS (64) are part of the measurement: all who build must use the same.
set -euo pipefail

if [ $# -lt 2 ]; then
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
for tool in gramine-manifest gramine-sgx-sign; do
    if ! command -v "$tool" >/dev/null; then
        echo "build: $tool is missing; install Gramine 1.7 or later (https://gramine.readthedocs.io)" >&2
        exit 1
    fi
done
here=$(cd "$(dirname "$0")" && pwd)
binary=$(realpath "$1")
key=$(realpath "$2")
output=${3:-target/gramine}
mkdir -p "$output"
cd "$output"
gramine-manifest \
    -Dbinary="$binary" \
    -Darch_libdir="${ARCH_LIBDIR:-/lib/x86_64-linux-gnu}" \
    -Denclave_size="${ENCLAVE_SIZE:-16G}" \
    -Dmax_threads="${MAX_THREADS:-64}" \
    "$here/cryptflow-party.manifest.template" cryptflow-party.manifest
gramine-sgx-sign --key "$key" --manifest cryptflow-party.manifest --output cryptflow-party.manifest.sgx
if command -v cryptflow >/dev/null; then
    cryptflow attest measure cryptflow-party.sig
else
    echo "now: cryptflow attest measure $PWD/cryptflow-party.sig"
fi
