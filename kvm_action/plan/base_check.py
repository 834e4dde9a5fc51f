"""What all checks of a plan have in common: how they are called, grouped and limited, and their short form."""

from datetime import timedelta
from enum import StrEnum
from typing import ClassVar, Self

from pydantic import GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from kvm_action.plan.part import Part
from kvm_action.plan.scalars import CheckTime, rule


class CheckKind(StrEnum):
    """What a check looks at; also its key in the plan."""

    USER = "user"
    PACKAGE = "package"
    SERVICE = "service"
    PORT = "port"
    FILE = "file"
    COMMAND = "command"
    HTTP = "http"
    TESTINFRA = "testinfra"
    RDP = "rdp"
    DESKTOP = "desktop"
    IDE = "ide"


class BaseCheck(Part):
    """What all checks have. `short` is the key that a bare value stands for, as in ``- package: xfce4``."""

    kind: ClassVar[CheckKind]
    short: ClassVar[str]
    absence: ClassVar[str] = ""
    """The switch that, when false, says that there is nothing of which more could be asked."""

    label: str = ""
    """How reports call this check, instead of the sentence made from its keys."""
    section: str = ""
    """Checks of one section stand together in reports."""
    timeout: CheckTime = timedelta(seconds=60)
    """How long the check may take."""

    @property
    def title(self) -> str:
        """A short sentence that says what has to hold."""
        return self.label or self._sentence()

    def _sentence(self) -> str:
        raise NotImplementedError

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: object) -> object:
        return {cls.short: value} if type(value) in (str, int) else value

    @model_validator(mode="after")
    def _nothing_has_no_properties(self) -> Self:
        if self.absence and not getattr(self, self.absence):
            asked = self.model_fields_set - {self.short, self.absence, *BaseCheck.model_fields}
            if asked:
                raise rule(f"{self.absence} is false, so {', '.join(sorted(asked))} cannot be asked for")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The long form or the short one."""
        long = handler.resolve_ref_schema(handler(schema))
        short = {k: v for k, v in long["properties"][cls.short].items() if k not in ("default", "title")}
        own = {k: v for k, v in long["properties"].items() if k not in BaseCheck.model_fields}
        long = {**long, "title": f"{cls.kind} check", "properties": {**own, **long["properties"]}}
        return {"description": cls.__doc__, "anyOf": [short, long]}
