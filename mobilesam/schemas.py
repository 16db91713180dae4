"""Validation of JSON with pydantic, whose errors become sentences for users."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic.functional_validators import BeforeValidator, WrapValidator, model_validator
from pydantic_core import ArgsKwargs, ErrorDetails, PydanticCustomError

from mobilesam.errors import MobileSamError, PromptError

T = TypeVar("T")

# By type of error; for the other types `_sentence` adapts the message of pydantic.
_PROBLEMS = {
    "json_invalid": "is not valid JSON",
    "missing": "is missing",
    "extra_forbidden": "is not a known field",
    "unexpected_keyword_argument": "is not a known field",
    "float_type": "must be a finite number",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number",
    "string_type": "must be text",
    "string_unicode": "contains characters that are not valid text",
    "string_too_long": "must have at most {max_length} characters",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "sequence_str": "must be a list",
    "is_instance_of": "must be a list",  # of Sequence
    "too_short": "must have {min_length} or more items",
    "too_long": "must have at most {max_length} items",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "union_tag_not_found": "has no type",
    "union_tag_invalid": "must have one of the types {expected_tags}",
}


def validate(
    schema: type[T] | TypeAdapter[T],
    raw: object,
    error: type[MobileSamError] = PromptError,
    name: str = "The request",
) -> T:
    """Turns untrusted parsed JSON into a typed value.

    Raises:
        MobileSamError: `error`, with one sentence that names the field, or the whole input by
            `name`, and what is expected there.
    """
    with explained(error, name):
        adapter = schema if isinstance(schema, TypeAdapter) else TypeAdapter(schema)
        return adapter.validate_python(raw)


@contextmanager
def explained(error: type[MobileSamError], name: str) -> Iterator[None]:
    """Turns pydantic's error in the `with` block into that of `validate`."""
    try:
        yield
    except ValidationError as invalid:
        details = invalid.errors(include_url=False, include_input=False)[0]
        raise error(_sentence(details, name)) from None


@dataclass(frozen=True, config={"extra": "forbid"})
class Validated:
    """Base of pydantic dataclasses whose constructor raises PromptError for invalid arguments."""

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, given: Any, handler: Any) -> Any:
        if isinstance(given, ArgsKwargs):  # pydantic would call positional arguments 0, 1, ...
            names = [field.name for field in fields(cls)]
            named = dict(zip(names, given.args, strict=False))
            given = ArgsKwargs(given.args[len(names) :], {**named, **(given.kwargs or {})})
        with explained(PromptError, "The request"):
            return handler(given)


def expected(what: str) -> WrapValidator:
    """Annotates a type, as the last item, with its error: "<field> must be <what>"."""

    def check(value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise PydanticCustomError("expected", "must be {what}", {"what": what}) from None

    return WrapValidator(check)


def listed(*names: str) -> BeforeValidator:
    """Annotates a tuple with the names of its items: its errors say "must be [x, y, label]"."""

    def check(value: Any) -> Any:
        if isinstance(value, (list, tuple)) and len(value) == len(names):
            return value
        raise PydanticCustomError("expected", "must be [{names}]", {"names": ", ".join(names)})

    return BeforeValidator(check)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else value


def _int_if_whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Plain = BeforeValidator(_plain)
"""Annotates a field that also accepts the arrays and numbers of numpy and torch."""

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A finite number; neither a bool nor text."""

WholeNumber = Annotated[int, Field(strict=True)]
"""An int; neither a bool nor text."""

Label = Annotated[
    int,
    Field(strict=True, ge=0, le=1),
    BeforeValidator(_int_if_whole),
    expected("1 (foreground) or 0 (background)"),
]
"""1 or 0; 1.0 counts as 1, because JSON does not distinguish them."""


def _sentence(details: ErrorDetails, name: str) -> str:
    """The path in the input, such as `points[3][0]`, and what is wrong there."""
    kind, loc, context = details["type"], details["loc"], details.get("ctx", {})
    if kind == "value_error":  # a validator raised a sentence
        return str(context["error"])
    if kind in _PROBLEMS:
        problem = _PROBLEMS[kind].format(**context)
    else:
        problem = details["msg"].replace("Input should", "must")
    if not loc or isinstance(loc[0], int):
        loc = (name, *loc)
    path = "".join(f"[{at}]" if isinstance(at, int) else f".{at[:40]}" for at in loc)
    return f"{path.removeprefix('.')} {problem}."
