"""Validation of JSON with pydantic; its errors become sentences that a person understands.

The models themselves are in the modules of their subjects: `prompts`, `interactions`,
`everything_options`. The page, the HTTP API, MCP and the command line all use them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Annotated, Any, TypeVar, overload

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs, ErrorDetails, PydanticCustomError

from mobilesam.errors import MobileSamError, PromptError

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)

_MAX_NAME = 40  # characters of a name of the input that an error repeats

# By pydantic's type of error. Python's names of types mean nothing to a user of the page.
_PROBLEMS = {
    "missing": "is missing",
    "extra_forbidden": "is not a known field",
    "unexpected_keyword_argument": "is not a known field",
    "unexpected_positional_argument": "is not a known field",
    "float_type": "must be a finite number",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "contains characters that are not valid text",
    "string_too_short": "must have {min_length} or more characters",
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
    "dataclass_type": "must be an object",
    "literal_error": "must be {expected}",
    "union_tag_not_found": "has no type",
    "union_tag_invalid": "must have one of the types {expected_tags}",
}


def expected(what: str) -> WrapValidator:
    """Annotates a type, as the last item, with its error: "<field> must be <what>"."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
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
    """Arrays as lists and lists as tuples, nested ones too; numpy's numbers as Python's."""
    if hasattr(value, "tolist"):  # numpy arrays and scalars, torch tensors
        value = value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else value


def _int_if_whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Plain = BeforeValidator(_plain)
"""Annotates a field that accepts numpy arrays and torch tensors besides sequences."""

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
"""A point's or a stroke's label; 1.0 counts as 1, as it does in JSON."""


@overload
def validate(
    schema: type[ModelT], raw: object, error: type[MobileSamError] = ..., name: str = ...
) -> ModelT: ...


@overload
def validate(
    schema: TypeAdapter[T], raw: object, error: type[MobileSamError] = ..., name: str = ...
) -> T: ...


def validate(
    schema: type[BaseModel] | TypeAdapter[Any],
    raw: object,
    error: type[MobileSamError] = PromptError,
    name: str = "The request",
) -> Any:
    """Turns JSON into a typed value.

    Args:
        schema: a pydantic model, or a TypeAdapter of any type.
        raw: parsed JSON, not trusted.
        error: what is raised for invalid input.
        name: what errors call the whole of `raw`.

    Raises:
        MobileSamError: `error`, with one sentence that names the field and what is expected.
    """
    with explaining(error, name):
        if isinstance(schema, TypeAdapter):
            return schema.validate_python(raw)
        return schema.model_validate(raw)


@contextmanager
def explaining(error: type[MobileSamError], name: str = "The request") -> Iterator[None]:
    """Turns pydantic's ValidationError into `error` with one sentence; see `validate`."""
    try:
        yield
    except ValidationError as invalid:
        details = invalid.errors(include_url=False, include_input=False)[0]
        raise error(_sentence(details, name)) from None


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Validated:
    """Base of pydantic dataclasses whose constructor raises PromptError for invalid arguments."""

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, given: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        if isinstance(given, ArgsKwargs):  # pydantic would call positional arguments 0, 1, ...
            names = [field.name for field in fields(cls)]
            named = dict(zip(names, given.args, strict=False))
            given = ArgsKwargs(given.args[len(names) :], {**named, **(given.kwargs or {})})
        with explaining(PromptError):
            return handler(given)


def _sentence(details: ErrorDetails, name: str) -> str:
    context = details.get("ctx", {})
    match details["type"]:
        case "value_error":  # raised by a validator of this package, as a sentence
            return str(context["error"])
        case "expected":
            problem = details["msg"]
        case kind:
            problem = _PROBLEMS.get(kind, "cannot be used").format(**context)
    return f"{_path(details['loc'], name)} {problem}."


def _path(loc: tuple[int | str, ...], name: str) -> str:
    """Where in the input the error is, such as `points[3][0]`."""
    if not loc or isinstance(loc[0], int):
        loc = (name, *loc)
    parts = (f"[{part}]" if isinstance(part, int) else f".{shortened(part)}" for part in loc)
    return "".join(parts).removeprefix(".")


def shortened(name: str) -> str:
    """A name of the input for an error, cut if it is long."""
    return name if len(name) <= _MAX_NAME else f"{name[:_MAX_NAME]}..."
