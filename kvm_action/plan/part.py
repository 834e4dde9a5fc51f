"""The base of every part of a plan: frozen, and strict about what it does not know."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A frozen value; a key that is unknown or a value of another type is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_by_name=True, use_attribute_docstrings=True
    )
