"""The version, in one place for code; pyproject.toml says the same (tests/test_tidy.py looks)."""

VERSION = "0.1.0"
