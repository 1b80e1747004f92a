"""Compiles edited text of an app's modules in place of their files; copied as a whole and under another name."""
