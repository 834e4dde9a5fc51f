"""Running the script a second time, as a plan asks for it: by a switch, or by what else has to stay as it is."""

from typing import Annotated

from pathspec import GitIgnoreSpec
from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from kvm_action.plan.part import Part
from kvm_action.plan.scalars import GuestPath, Text, rule


def _a_pattern(text: str) -> str:
    try:
        GitIgnoreSpec.from_lines([text])
    except ValueError as error:
        raise rule(f"this is no pattern of a .gitignore: {error}") from error
    return text


class SecondRun(Part):
    """What a second run of the script must leave alone beside packages, users, services, ports and /etc."""

    paths: tuple[GuestPath, ...] = Field((), examples=[["/opt/app"]])
    """Files and folders outside /etc that must stay as they are."""
    ignore: tuple[Annotated[Text, AfterValidator(_a_pattern)], ...] = Field((), examples=[["/etc/app/last-run"]])
    """Patterns, as in a .gitignore, of files, units (app.service) and ports (tcp *:8080) that may change."""


class _OrSwitch:
    """Reads ``true`` and ``false`` too, and says so in the schema."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_from_switch, handler(source))

    def __get_pydantic_json_schema__(self, made: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        long = [one for one in handler(made)["anyOf"] if one.get("type") != "null"]
        return {"anyOf": [{"type": "boolean"}, *long]}


def _from_switch(value: object) -> object:
    if value is None:
        raise PydanticCustomError("expected", "true or false")
    if value is True:
        return {}
    return None if value is False else value


Rerun = Annotated[SecondRun | None, _OrSwitch()]
