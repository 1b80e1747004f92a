"""Cells of a CSV file: a spreadsheet must not take a text for a formula."""

from loopwise.visible import visible

FORMULAS = tuple("=+-@\t\n＝＋－＠")
"""Characters with which a spreadsheet's formula begins; the wide ones do where they are typed in East Asia."""


def cell(value: object) -> object:
    r"""The value as it is written: numbers stay numbers.

    A text that a spreadsheet would compute has `'` before it. Control characters are escapes, `\x1b`: a carriage
    return would end the row.
    """
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(FORMULAS) else text
