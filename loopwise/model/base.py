"""Base classes of all models."""

import json
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer
from pydantic_core import PydanticSerializationError, to_json

from loopwise.visible import encodable

CaseId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,149}$")]
"""Letters, digits, dots, dashes and underscores: it becomes the name of a folder."""

SCHEMA_VERSION = 3
"""Version of experiment.json, run.json and round.json.

History: 1, first; 2, rounds of pairs, attempts, causes; 3, 64 bits for the size of an answer.
"""


class Noun(BaseModel):
    """Base of all models: immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    def model_dump_json(self, *, indent: int | None = None, **options: Any) -> str:
        """As JSON; a lone surrogate in a text of others, which no UTF-8 has, is an escape."""
        try:
            return super().model_dump_json(indent=indent, **options)
        except PydanticSerializationError:
            return to_json(encodable(self.model_dump(**options)), indent=indent).decode()

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """From JSON; an escaped lone surrogate in it, which other programs write, stays an escape."""
        try:
            return super().model_validate_json(json_data, **options)
        except ValidationError as error:
            if error.errors()[0]["type"] != "json_invalid":
                raise
            with suppress(ValueError, RecursionError):
                return cls.model_validate(encodable(json.loads(json_data)), **options)
            raise


class Grown(Noun):
    """Base of nouns that have gained fields: these are not written where they say nothing, so older cases keep ids."""

    added: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_silent(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        silent = {
            name for name in self.added if getattr(self, name) == fields[name].get_default(call_default_factory=True)
        }
        return {name: value for name, value in dump(self).items() if name not in silent}


class Recorded(Noun):
    """Base of measured figures: what was not measured is not written, and fields of other versions are kept."""

    model_config = ConfigDict(extra="allow")

    def __bool__(self) -> bool:
        """Whether anything was measured; nothing was in a failed run."""
        return bool(self.model_fields_set)

    @model_serializer(mode="wrap")
    def _written(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if name in self.model_fields_set}
