"""Candidate edits of an app's source: from a line that holds the event loop to code that doesn't.

Nothing is written: an edit is a text and a diff. LibCST makes them, so comments and formatting stay. Import this
package where it is needed only: LibCST takes a third of a second.
"""

from loopwise.blame.edits.edit import CollisionError, Edit, NoEdit, Offer
from loopwise.blame.edits.offers import Merged, edits_for, edits_of_endpoint, merged, offer_for, offer_of_endpoint
from loopwise.blame.edits.table import CANDIDATES

__all__ = (
    "CANDIDATES",
    "CollisionError",
    "Edit",
    "Merged",
    "NoEdit",
    "Offer",
    "edits_for",
    "edits_of_endpoint",
    "merged",
    "offer_for",
    "offer_of_endpoint",
)
