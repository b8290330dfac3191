#!/usr/bin/env bash
# Django 5.2.8, the serialization format "jsonl": what serialize() returns can't be given to deserialize().
#
# The serializer writes one object per line and leaves characters that JSON doesn't require to be escaped as
# they are. The deserializer, given a string, takes it apart with str.splitlines(), which also ends a line at
# U+2028 and other characters that may stand inside a JSON string. A text with
# U+2028, as word processors and browsers leave it, therefore breaks its own dump. The same dump read from a
# file, as loaddata does, is complete, since files end lines at "\n" alone; the format "json" is not affected.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check Django==5.2.8

"$folder/venv/bin/python" - "$folder" >"$folder/seen" 2>"$folder/log" <<'PYTHON'
import sys
from pathlib import Path

import django
from django.conf import settings

settings.configure(INSTALLED_APPS=["django.contrib.contenttypes"])
django.setup()

from django.contrib.contenttypes.models import ContentType
from django.core.serializers import deserialize, serialize

texts = [ContentType(id=1, model="line one\u2028line two"), ContentType(id=2, model="one line")]
for format in ("json", "jsonl"):
    text = serialize(format, texts)
    file = Path(sys.argv[1], f"dump.{format}")
    file.write_text(text)
    for source in ("string", "file"):
        with file.open() as stream:
            objects = deserialize(format, text if source == "string" else stream)
            try:
                print(format, source, [item.object.model for item in objects])
            except Exception as error:
                print(format, source, type(error).__name__)
PYTHON

diff - "$folder/seen" <<'SEEN'
json string ['line one\u2028line two', 'one line']
json file ['line one\u2028line two', 'one line']
jsonl string DeserializationError
jsonl file ['line one\u2028line two', 'one line']
SEEN
echo "as stated"
