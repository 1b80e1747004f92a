"""Claims that are taught about sync and async, put to the test."""
