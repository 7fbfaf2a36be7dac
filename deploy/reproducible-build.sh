#!/usr/bin/env bash
# Builds a package's binary twice, in two folders, and compares: two who build the same commit with the same compiler get the same bytes, and
# so the same measurement.
#
#   deploy/reproducible-build.sh [PACKAGE] [OUTPUT FOLDER]
#
# PACKAGE is cryptflow-party if none is named. The binary and its SHA-256 end up in the output folder (target/reproducible).
# Needs git, rustup (or the compiler below) and the registry's packages (`cargo fetch --locked`, once). The commit's files are built, not those of the
# working tree.
set -euo pipefail
cd "$(dirname "$0")/.."

package=${1:-cryptflow-party}
output=${2:-$PWD/target/reproducible}
binary=${BINARY:-$package}
# The compiler that this workspace is made for. Another one makes other bytes.
toolchain=${TOOLCHAIN:-$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1).0}
target=${TARGET:-x86_64-unknown-linux-gnu}

cargo=(cargo)
if command -v rustup >/dev/null; then
    if rustup toolchain list | grep -q "^$toolchain-"; then
        cargo=(cargo "+$toolchain")
    elif [ "$(rustc --version | cut -d' ' -f2)" != "$toolchain" ]; then
        rustup toolchain install "$toolchain" --profile minimal
        cargo=(cargo "+$toolchain")
    fi
fi
found=$("${cargo[@]}" --version | cut -d' ' -f2)
if [ "$found" != "$toolchain" ]; then
    echo "reproducible-build: this is Rust $found, the build is made with $toolchain" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
commit=$(git rev-parse HEAD)
if [ -n "$(git status --porcelain)" ]; then
    echo "reproducible-build: the working tree differs from commit $commit; building the commit" >&2
fi
cargo_home=${CARGO_HOME:-$HOME/.cargo}

build() { # FOLDER
    mkdir -p "$1"
    git archive "$commit" | tar -x -C "$1"
    # Paths of this machine do not get into the binary; neither do debug sections and symbols.
    local flags=(
        "--remap-path-prefix=$1=/cryptflow"
        "--remap-path-prefix=$cargo_home=/cargo"
        "-Cstrip=symbols"
        "-Ccodegen-units=1"
    )
    (
        cd "$1"
        unset RUSTFLAGS CARGO_BUILD_TARGET
        export CARGO_ENCODED_RUSTFLAGS
        CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; printf '%s' "${flags[*]}")
        # The same for the few files in C and assembly (of the cryptography).
        export CFLAGS="-ffile-prefix-map=$1=/cryptflow -ffile-prefix-map=$cargo_home=/cargo"
        export SOURCE_DATE_EPOCH CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$1/target LC_ALL=C TZ=UTC
        SOURCE_DATE_EPOCH=$(git -C "$OLDPWD" show -s --format=%ct "$commit")
        "${cargo[@]}" build --locked --release --target "$target" --package "$package" --bin "$binary"
    )
}

build "$work/first"
build "$work/somewhere/else"
first=$work/first/target/$target/release/$binary
second=$work/somewhere/else/target/$target/release/$binary
sha256sum "$first" "$second" | sed "s|$work/||"
if ! cmp "$first" "$second"; then
    echo "reproducible-build: the two builds differ" >&2
    exit 1
fi
mkdir -p "$output"
install -m 755 "$first" "$output/$binary"
(cd "$output" && sha256sum "$binary" | tee "$binary.sha256")
echo "commit $commit, Rust $toolchain, $target: both builds are the same bytes, in $output"
