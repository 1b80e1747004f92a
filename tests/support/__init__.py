"""Helpers of tests: fakes, fixtures and small servers."""
