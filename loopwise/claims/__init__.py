"""What is taught about sync and async, put to the test: twenty claims, each a suite, a rule and a verdict."""
