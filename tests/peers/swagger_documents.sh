#!/usr/bin/env bash
# Gets Swagger 2.0 documents, JSON and YAML, broken ones among them, out of Debian's packages; installs nothing.
# Where there is no Debian, or no package, it leaves nothing behind, and tests that want the documents are left out.
set -euo pipefail
cd "$(dirname "$0")"
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || exit 0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
(cd "$folder" && apt-get download -qq golang-github-go-openapi-{spec,analysis,loads,validate}-dev \
  golang-k8s-kube-openapi-dev golang-github-docker-docker-dev >/dev/null 2>&1) || exit 0
for package in "$folder"/*.deb; do dpkg-deb -x "$package" "$folder/out"; done
rm -rf swagger_documents && mkdir swagger_documents
target=$PWD/swagger_documents
cd "$folder/out/usr/share/gocode/src"
find . \( -name '*.json' -o -name '*.yaml' -o -name '*.yml' \) -print0 | xargs -0 cp --parents -t "$target"
