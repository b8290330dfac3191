#!/usr/bin/env bash
# python-zstandard 0.25.0 and a file in the seekable zstd format, written by pyzstd 0.20.0.
#
# A seekable file is many zstd frames, one behind the other, as RFC 8878 allows. pyzstd and the zstd
# command read all of them. python-zstandard has two ways to read that return the first frame alone and
# then end normally, without an error: `decompressobj()` and `read_to_iter()`. `stream_reader()` and
# `copy_stream()` of the same class return everything. A restore that reads a dump through the first two
# gets its beginning and no sign that the rest is missing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check zstandard==0.25.0 pyzstd==0.20.0

"$folder/venv/bin/python" - >"$folder/seen" <<'PYTHON'
import io

import pyzstd
import zstandard

buffer = io.BytesIO()
with pyzstd.SeekableZstdFile(buffer, "w", max_frame_content_size=1_000_000) as file:
    file.write(b"one row of a dump\n" * 250_000)
packed = buffer.getvalue()

reader = zstandard.ZstdDecompressor()
whole = io.BytesIO()
reader.copy_stream(io.BytesIO(packed), whole)
print("pyzstd.decompress", len(pyzstd.decompress(packed)))
print("zstandard copy_stream", len(whole.getvalue()))
print("zstandard stream_reader", len(reader.stream_reader(io.BytesIO(packed)).read()))
print("zstandard read_to_iter", len(b"".join(reader.read_to_iter(io.BytesIO(packed)))))
print("zstandard decompressobj", len(reader.decompressobj().decompress(packed)))
PYTHON

diff - "$folder/seen" <<'SEEN'
pyzstd.decompress 4500000
zstandard copy_stream 4500000
zstandard stream_reader 4500000
zstandard read_to_iter 1000000
zstandard decompressobj 1000000
SEEN
echo "as stated"
