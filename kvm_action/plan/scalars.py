"""The values that a plan is made of: text in YAML; ``int`` bytes, ``timedelta`` and mode bits past this file.

Each type carries its JSON Schema. ``patternErrorMessage`` in it completes "expected …", for editors and `explain`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from kvm_action.units import DURATION, format_duration, parse_duration, parse_size

MIB: Final = 1 << 20
GIB: Final = 1 << 30
TIB: Final = 1 << 40

T = TypeVar("T", int, timedelta)

_SIZE: Final = r"^[0-9]{1,12}(\.[0-9]{1,6})? ?[KMGTkmgt]([iI]?[bB])?$"


def rule(message: str) -> PydanticCustomError:
    """An error about several keys at once, which no schema can state; ``message`` is shown as it is."""
    return PydanticCustomError("rule", "{message}", {"message": message})


def write_size(count: int) -> str:
    """``count`` bytes as a plan would have them: in the largest unit that divides them."""
    for unit, size in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB)):
        if count % size == 0:
            return f"{count // size}{unit}"
    return f"{count // 1024}KiB"


def shaped(pattern: str, expected: str, *examples: str) -> FieldInfo:
    """Text that stays text and has to match ``pattern``."""
    extra: dict[str, JsonValue] = {"patternErrorMessage": expected}
    made: FieldInfo = Field(pattern=pattern, examples=list(examples) or None, json_schema_extra=extra)
    return made


@dataclass(frozen=True)
class Written:
    """How a value stands in the plan: text of a ``pattern`` that ``read`` turns into the value.

    Only JSON (the plan) is read; values that Python code passes in are left to the type.
    """

    pattern: str
    read: Callable[[str], object]
    expected: str
    example: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read first, then let the type check what came out."""
        return core_schema.with_info_before_validator_function(self._parse, handler(source))

    def __get_pydantic_json_schema__(
        self,
        _schema: CoreSchema,
        _handler: GetJsonSchemaHandler,
    ) -> JsonSchemaValue:
        """What an editor should know."""
        return {
            "type": "string",
            "pattern": self.pattern,
            "patternErrorMessage": self.expected,
            "examples": [self.example],
        }

    def _parse(self, value: object, info: ValidationInfo) -> object:
        if info.mode != "json":
            return value
        if isinstance(value, str) and re.search(self.pattern, value):
            try:
                return self.read(value)
            except (ValueError, OverflowError):
                pass  # out of range: the same error as any other wrong value
        raise PydanticCustomError("expected", "{expected}", {"expected": self.expected})


def size(low: int, high: int, example: str) -> Written:
    """Bytes from ``low`` to ``high``, written as ``4GiB``."""

    def read(text: str) -> int:
        return _within(low, parse_size(text), high)

    return Written(_SIZE, read, f"a size from {write_size(low)} to {write_size(high)}, such as {example}", example)


def duration(low: timedelta, high: timedelta, example: str) -> Written:
    """A time from ``low`` to ``high``, written as ``1h30m``."""

    def read(text: str) -> timedelta:
        return _within(low, parse_duration(text), high)

    expected = f"a duration from {format_duration(low)} to {format_duration(high)}, such as {example}"
    return Written(DURATION, read, expected, example)


def _within(low: T, value: T, high: T) -> T:
    if not low <= value <= high:
        raise ValueError("out of range")
    return value


def _octal(text: str) -> int:
    return int(text, 8)


def _variable(value: object) -> object:
    """A whole number is as good as text here: ``PORT: 8080`` has only one reading."""
    if isinstance(value, str) and "\0" in value:
        raise PydanticCustomError("expected", "some text")
    return str(value) if type(value) is int else value


def _whole_mib(count: int) -> int:
    """libvirt rounds a machine's memory up like this, and a memory file must be as large."""
    return -(-count // MIB) * MIB


Memory = Annotated[int, size(128 * MIB, 4 * TIB, "4GiB"), AfterValidator(_whole_mib)]
Disk = Annotated[int, size(GIB, 16 * TIB, "25GiB")]  # ext4 ends at 16 TiB
RunTime = Annotated[timedelta, duration(timedelta(seconds=1), timedelta(hours=120), "30m")]  # as a job's limit
CheckTime = Annotated[timedelta, duration(timedelta(seconds=1), timedelta(hours=24), "90s")]
FileMode = Annotated[int, Written(r"^0?[0-7]{3,4}$", _octal, 'an octal mode in quotes, such as "0644"', "0644")]
Switch = Annotated[bool, Field(strict=True)]
Cpus = Annotated[int, Field(ge=1, le=288, strict=True)]  # what QEMU's q35 machine can hold
PortNumber = Annotated[int, Field(ge=1, le=65535, strict=True)]
Name = Annotated[
    str,
    shaped(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", "a name of up to 63 letters, digits, dots, dashes, underscores"),
]
UserName = Annotated[
    str, shaped(r"^[a-z_][a-z0-9_-]{0,31}$", "a Linux user name: small letters, digits, dashes, underscores")
]
Text = Annotated[str, shaped(r"^[^\x00]*[^\x00\s][^\x00]*$", "some text")]
GuestPath = Annotated[str, shaped(r"^/[^\x00]*$", "an absolute path in the guest, such as /opt/app")]
HostPath = Annotated[
    Path,
    Written(r"^[^\x00]+$", str, "a path, relative to the plan's folder", "."),
]
VariableName = Annotated[str, shaped(r"^[A-Za-z_][A-Za-z0-9_]*$", "a variable name: letters, digits, underscores")]
VariableValue = Annotated[
    SecretStr, BeforeValidator(_variable), WithJsonSchema({"type": ["string", "integer"], "writeOnly": True})
]
