#!/usr/bin/env bash
# Fetches Swagger 2.0 documents, JSON and YAML, broken ones among them, out of Debian's packages; installs nothing.
set -euo pipefail
cd "$(dirname "$0")"
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || exit 0
rm -rf swagger_documents
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && apt-get download -qq golang-github-go-openapi-{spec,analysis,loads,validate}-dev \
  golang-k8s-kube-openapi-dev golang-github-docker-docker-dev >/dev/null 2>&1) || exit 0
for package in "$folder"/*.deb; do dpkg-deb -x "$package" "$folder/out"; done
mkdir swagger_documents
(cd "$folder/out/usr/share/gocode/src" && find . \( -name '*.json' -o -name '*.yaml' -o -name '*.yml' \) -print0 \
  | cpio -0 -pdm --quiet "$OLDPWD/swagger_documents" 2>/dev/null || cp -r --parents $(find . -name '*.json' -o -name '*.yaml' -o -name '*.yml') "$OLDPWD/swagger_documents")
