"""Validation of JSON: one sentence for any error, which never repeats long input."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from mobilesam import AnnotationError, EverythingOptions, PromptError
from mobilesam.interactions import parse_interactions
from mobilesam.prompts import prompt_from_rows
from mobilesam.schemas import Number, WholeNumber, validate
from tests.hostile_json import ANYTHING


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(strict=True, max_length=5)]
    kind: Literal["mask", "box"] = "mask"
    weight: Annotated[Number, Field(gt=0, le=10)] = 1.0
    count: Annotated[WholeNumber, Field(ge=2)] = 2
    parts: Annotated[list[int], Field(strict=True, min_length=1, max_length=2)] = [1]

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if name == "bad":
            raise ValueError("Choose another name.")
        return name


class Request(BaseModel):
    items: list[Item]


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (None, "items[0] must be an object."),
        ({}, "items[0].name is missing."),
        ({"name": 1}, "items[0].name must be text."),
        ({"name": "\ud800"}, "items[0].name contains characters that are not valid text."),
        ({"name": "a" * 10**6}, "items[0].name must have at most 5 characters."),
        ({"name": "bad"}, "Choose another name."),
        ({"name": "a", "kind": "x" * 999}, "items[0].kind must be 'mask' or 'box'."),
        ({"name": "a", "weight": True}, "items[0].weight must be a finite number."),
        ({"name": "a", "weight": 10**400}, "items[0].weight must be a finite number."),
        ({"name": "a", "weight": float("nan")}, "items[0].weight must be a finite number."),
        ({"name": "a", "weight": 0}, "items[0].weight must be greater than 0."),
        ({"name": "a", "weight": 11}, "items[0].weight must be less than or equal to 10."),
        ({"name": "a", "count": 2.0}, "items[0].count must be a whole number."),
        ({"name": "a", "count": -(10**400)}, "items[0].count must be greater than or equal to 2."),
        ({"name": "a", "parts": "ab"}, "items[0].parts must be a list."),
        ({"name": "a", "parts": []}, "items[0].parts must have 1 or more items."),
        ({"name": "a", "parts": [1] * 999}, "items[0].parts must have at most 2 items."),
        ({"name": "a", "x" * 999: 1}, f"items[0].{'x' * 40} is not a known field."),
        ({"name": "a", "\ud800": 1}, "items[0] contains characters that are not valid text."),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_an_error_is_one_sentence_with_the_field_and_what_is_expected(item, sentence):
    with pytest.raises(PromptError) as refusal:
        validate(Request, {"items": [item]})
    assert str(refusal.value) == sentence
    assert refusal.value.__cause__ is None


def test_the_whole_input_has_a_name_in_errors():
    with pytest.raises(PromptError, match=r"^The request must be an object\.$"):
        validate(Request, [])
    with pytest.raises(AnnotationError, match=r"^sizes must be a list\.$"):
        validate(TypeAdapter(list[int]), 5, AnnotationError, name="sizes")
    with pytest.raises(AnnotationError, match=r"^sizes\[1\] must be a whole number\.$"):
        validate(TypeAdapter(list[WholeNumber]), [1, "2"], AnnotationError, name="sizes")


def test_valid_input_becomes_typed():
    request = validate(Request, {"items": [{"name": "a", "weight": 3}]})
    assert request == Request(items=[Item(name="a", weight=3.0)])


FIELDS = ("x", "y", "label", "box", "index", "rle", "path", "radius", "\ud800")
INTERACTIONS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["point", "box", "candidate", "mask", "stroke"])},
        optional=dict.fromkeys(FIELDS, ANYTHING),
    )
    | ANYTHING,
    max_size=3,
)
OPTIONS = st.dictionaries(
    st.sampled_from(["points_per_side", "pred_iou_thresh", "min_mask_region_area"])
    | st.text(max_size=6),
    ANYTHING,
    max_size=2,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        (st.tuples(INTERACTIONS | ANYTHING), parse_interactions),
        (st.tuples(ANYTHING, ANYTHING), prompt_from_rows),
        (st.tuples(OPTIONS), lambda given: EverythingOptions.for_weights("bundled", given)),
    ],
    ids=["interactions", "prompt", "options"],
)
def test_any_json_is_accepted_or_refused_with_a_sentence(arguments, read):
    @settings(derandomize=True, deadline=None, database=None, max_examples=200)
    @given(arguments)
    def check(drawn):
        try:
            value, sentence = read(*drawn), None
        except PromptError as error:
            value, sentence = None, str(error)
        if sentence is None:
            assert hash(value) == hash(read(*drawn))
        else:
            assert 10 < len(sentence) < 300
            assert "pydantic" not in sentence

    check()


def test_a_name_in_an_error_is_text_that_a_reply_can_carry():
    with pytest.raises(PromptError, match="contains characters that are not valid text"):
        EverythingOptions.for_weights("bundled", {"a\ud800": 1})
