"""Class lists: fixed ids, and every file that holds one."""

from __future__ import annotations

import codecs
import json
import time

import pytest

from mobilesam.errors import MobileSamError, PromptError
from mobilesam.export import ClassList, read_class_names
from mobilesam.export.classes import MAX_CLASSES, MAX_LIST_BYTES

NAMES = ["cat", "naïve dog", "猫"]


def test_ids_are_the_places_and_other_names_follow():
    classes = ClassList(["cat", "dog"])
    assert [classes.id_of(name) for name in ("dog", "new", "cat", "newer", "new")] == [
        2,
        3,
        1,
        4,
        3,
    ]
    assert classes.names == ("cat", "dog", "new", "newer")


def test_names_are_normalised_and_unique():
    assert ClassList(["  a \t b\n"]).names == ("a b",)
    with pytest.raises(PromptError, match='contains "a" twice'):
        ClassList(["a", "b", " a"])
    for name in ("", " ", None, 7, ["a"], "x" * 81):
        with pytest.raises(PromptError):
            ClassList([name])


def test_there_is_room_for_so_many():
    classes = ClassList(map(str, range(MAX_CLASSES)))
    assert classes.id_of("0") == 1
    with pytest.raises(PromptError, match=f"at most {MAX_CLASSES}"):
        classes.id_of("one more")


@pytest.mark.parametrize("raw", ["cat", {"0": "cat"}, 7, True, [1], [None], [["a"]], ["a"] * 1001])
def test_json_of_a_client_is_a_list_of_names_or_nothing(raw):
    assert ClassList.from_json(None).names == ()
    assert ClassList.from_json(["a", "b"]).names == ("a", "b")
    with pytest.raises(PromptError, match="classes"):
        ClassList.from_json(raw)


TEXT = "\n".join([*NAMES, "", ""])
FILES = {
    "names.txt": TEXT,
    "names": TEXT.replace("\n", "\r\n"),
    "list.yaml": json.dumps({"train": "images", "names": NAMES}),
    "block.yml": "nc: 3\nnames:\n  - cat\n  - naïve dog\n  - '猫'  # cat\n",
    "DATA.YAML": "names:\n  0: cat\n  2: 猫\n  1: naïve dog\ndownload: https://x\n",
    "coco.json": json.dumps(
        {
            "images": [],
            "categories": [
                {"id": 90, "name": "猫", "supercategory": ""},
                {"id": 1, "name": "cat"},
                {"id": 7, "name": "naïve dog"},
            ],
        },
        ensure_ascii=False,
    ),
}
ENCODINGS = {
    "UTF-8": lambda text: text.encode(),
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16 LE": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16 BE": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "text": str,
    "text with a mark": lambda text: f"\ufeff{text}",
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", FILES)
def test_all_files_hold_the_names_in_the_order_of_their_ids(name, encoding):
    assert read_class_names(ENCODINGS[encoding](FILES[name]), name) == NAMES


def test_yaml_does_not_take_names_for_other_values():
    assert read_class_names("names: [no, yes, 1, 1.0, null, 2020-01-01]", "a.yaml") == [
        "no",
        "yes",
        "1",
        "1.0",
        "null",
        "2020-01-01",
    ]


def test_yaml_makes_no_objects():
    text = "names: !!python/object/apply:os.system ['ls']"
    assert read_class_names(text, "a.yaml") == ["ls"]


BILLION = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
BAD = {
    "nothing": (b"", "a.txt", "no class names"),
    "blank lines": (b"\n \n", "a.txt", "no class names"),
    "bytes": (b"\xff\xfe\x00", "a.txt", "UTF-8"),
    "latin": (b"na\xefve", "a.txt", "UTF-8"),
    "twice": (b"a\nb\na\n", "a.txt", "twice"),
    "a long name": (b"x" * 81, "a.txt", "at most 80"),
    "a long file": (b"a\n" * MAX_LIST_BYTES, "a.txt", "too long"),
    "many names": ("\n".join(map(str, range(1001))), "a.txt", "at most 1000"),
    "no yaml": ("a: [", "a.yaml", "not YAML"),
    "another yaml": ("train: x", "a.yaml", "no `names`"),
    "a yaml list": ("- a", "a.yaml", "no `names`"),
    "yaml text": ("names: cat", "a.yaml", "no `names`"),
    "yaml lists": ("names: [[a]]", "a.yaml", "must be text"),
    "a gap": ("names: {0: a, 2: b}", "a.yaml", "must be 0, 1, 2"),
    "from 1": ("names: {1: a, 2: b}", "a.yaml", "must be 0, 1, 2"),
    "words as ids": ("names: {a: 0}", "a.yaml", "must be 0, 1, 2"),
    "deep yaml": ("[" * 100_000, "a.yaml", "not YAML"),
    "an alias to itself": ("names: &a [*a]", "a.yaml", "not YAML"),
    "a billion laughs": (f"{BILLION}names: *i\n", "a.yaml", "must be text"),
    "no json": ("{", "a.json", "not JSON"),
    "json of labelme": ('{"shapes": []}', "a.json", "categories is missing"),
    "json without classes": ('{"categories": []}', "a.json", "no class names"),
    "json with odd ids": ('{"categories": [{"id": "x", "name": "a"}]}', "a.json", "categories"),
    "deep json": ("[" * 100_000, "a.json", "not JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_sentence_soon(name):
    data, file_name, message = BAD[name]
    started = time.process_time()
    with pytest.raises(MobileSamError, match=message) as error:
        read_class_names(data, file_name)
    assert time.process_time() - started < 5
    assert "\n" not in str(error.value)
