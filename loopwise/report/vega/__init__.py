"""The explorer's library, made by `python -m loopwise.report.vega` from vl-convert-python; see LICENSE beside it."""
