"""The HTML pages: report, comparison, index of results."""
