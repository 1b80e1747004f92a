"""What all nouns have in common."""

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 2
"""Version of experiment.json, run.json and round.json. History: 1, first; 2, rounds of pairs, attempts, causes."""


class Noun(BaseModel):
    """Base of all nouns: immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)
