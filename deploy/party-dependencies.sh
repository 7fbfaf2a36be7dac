#!/usr/bin/env bash
# Everything that is linked into the party's binary, which gets attested, by name. CI compares it with the list beside this script, so that nothing
# enters the trusted code unseen; `--write` renews the list after a change that was looked at.
set -euo pipefail
cd "$(dirname "$0")/.."

list=deploy/party-dependencies.txt
found=$(cargo tree -p cryptflow-party -e normal --prefix none --format '{p}' --locked \
    --target x86_64-unknown-linux-gnu | awk '{print $1}' | LC_ALL=C sort -u)
# No importer, no client, no command for people, no framework for web pages, no decoder of pictures.
for forbidden in cryptflow cryptflow-athos clap indicatif png zune-jpeg maud ureq axum hyper tokio prost zip; do
    if grep -qx "$forbidden" <<<"$found"; then
        echo "party-dependencies: $forbidden must not be part of the party's binary:" >&2
        cargo tree -p cryptflow-party -e normal --locked -i "$forbidden" >&2
        exit 1
    fi
done
if [ "${1:-}" = --write ]; then
    printf '%s\n' "$found" >"$list"
    exit
fi
if ! diff -u "$list" - <<<"$found"; then
    echo "party-dependencies: the party's binary has other dependencies than $list says." >&2
    echo "Look at what came in; then run deploy/party-dependencies.sh --write." >&2
    exit 1
fi
echo "the party's binary has the $(wc -l <"$list") dependencies that are listed"
