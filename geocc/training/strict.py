"""Settings whose every key and value is checked, and whose errors name the key."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from geocc.errors import InputError

__all__ = ["Settings"]


class Settings(BaseModel):
    """A group of settings: immutable, and closed to keys that it does not know.

    Raises:
        InputError: A key is unknown or missing, or a value is of the wrong kind; the text names the key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(_explain(error, known=tuple(type(self).model_fields))) from None


def _explain(error: ValidationError, *, known: tuple[str, ...]) -> str:
    return "; ".join(_sentence(fault, known=known) for fault in error.errors(include_url=False))


def _sentence(fault: Any, *, known: tuple[str, ...]) -> str:
    key = ".".join(str(step) for step in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"there is no key {key!r}; expected one of {', '.join(known)}"
    if fault["type"] == "missing":
        return f"the key {key!r} is missing"
    cause = (fault.get("ctx") or {}).get("error")
    if isinstance(cause, InputError):  # of a group inside this one, or of a check of its own
        return f"{key}: {cause}" if key else str(cause)
    given = repr(fault["input"])[:80]
    return f"the key {key!r} is {given}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"
