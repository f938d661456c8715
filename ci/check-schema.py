#!/usr/bin/env python3
"""Checks JSON files against a JSON Schema (2020-12): check-schema.py SCHEMA FILE...

Exit code 77 when the Python package `jsonschema` is not installed.
"""
import json
import sys

try:
    from jsonschema import Draft202012Validator, FormatChecker
except ImportError:
    sys.exit(print("the Python package `jsonschema` is not installed", file=sys.stderr) or 77)

schema = json.load(open(sys.argv[1], encoding="utf-8"))
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema, format_checker=FormatChecker())
wrong = 0
for name in sys.argv[2:]:
    for error in validator.iter_errors(json.load(open(name, encoding="utf-8"))):
        print(f"{name}: {error.json_path}: {error.message}", file=sys.stderr)
        wrong += 1
sys.exit(1 if wrong else 0)
