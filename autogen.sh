#!/bin/sh
# Makes configure and Makefile.in from a checkout (a release tarball has them).
set -e
cd "$(dirname "$0")"
mkdir -p build-aux
exec autoreconf --install --force
