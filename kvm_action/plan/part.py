"""The base of every part of a plan: frozen, and strict about what it does not know."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A frozen value; an unknown key is an error.

    Not pydantic's strict mode: behind a validator that has read a short form, it takes no list for a tuple and no
    text for a choice. The types of `scalars` are strict where that matters: switches and numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, use_attribute_docstrings=True)
