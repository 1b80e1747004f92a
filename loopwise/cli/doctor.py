"""`doctor`: is this machine fit to measure?"""

from loopwise.cli.options import Json, console
from loopwise.report.terminal.console import print_json


def doctor(as_json: Json = False) -> int:
    """Tell whether this machine is fit to measure: one line per check, with the remedy."""
    from loopwise.calibrate.doctor import diagnose, diagnosis_table, is_fit

    symptoms = diagnose()
    if as_json:
        print_json([symptom._asdict() for symptom in symptoms])
    else:
        console().print(diagnosis_table(symptoms))
    return 0 if is_fit(symptoms) else 1
