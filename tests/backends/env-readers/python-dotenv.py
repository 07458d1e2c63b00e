"""Reads env files as python-dotenv does: a JSON list of texts on stdin, a list of objects on stdout."""

import io
import json
import logging
import sys

from dotenv import dotenv_values

logging.disable(logging.CRITICAL)
# Line breaks of any kind become LF, as in a file that it opens itself.
json.dump([dotenv_values(stream=io.StringIO(text, newline=None)) for text in json.load(sys.stdin)], sys.stdout)
