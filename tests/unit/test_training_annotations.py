"""COCO files to learn from: what is read, what is skipped, and sentences for the rest."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mobilesam import AnnotationError, ImageError
from mobilesam.export import export_file
from mobilesam.images import open_photo
from mobilesam.masks import mask_to_coco_rle
from mobilesam.objects import PhotoObject
from mobilesam.training.annotations import read_annotations
from mobilesam.training.photos import split_photos
from tests.hostile_json import ANYTHING
from tests.training import (
    PHOTO_HW,
    annotation,
    drawn_photo,
    image,
    save_coco,
    save_dataset,
)

SIZE = 1024
HEIGHT, WIDTH = PHOTO_HW
SQUARE = [10, 20, 30, 20, 30, 50, 10, 50]


def square():
    mask = np.zeros(PHOTO_HW, bool)
    mask[20:50, 10:30] = True
    return mask


@pytest.fixture
def folder(tmp_path):
    """One photo, a.png."""
    (tmp_path / "photos").mkdir()
    Image.fromarray(drawn_photo(0)[0]).save(tmp_path / "photos" / "a.png")
    return tmp_path / "photos"


@pytest.fixture
def read(folder, tmp_path):
    """read(images, annotations, size=1024) gives the photos and the sentences."""

    def read_file(images, annotations, size=SIZE):
        said = []
        file = save_coco(tmp_path / "coco.json", images, annotations)
        return read_annotations([file], folder, size, said.append), said

    return read_file


@pytest.mark.parametrize(
    "segmentation",
    [
        [SQUARE],
        mask_to_coco_rle(square()),
        {"size": list(PHOTO_HW), "counts": [980, *([30, 66] * 20)[:-1], 9454]},
    ],
    ids=["polygons", "compressed", "uncompressed"],
)
def test_every_kind_of_mask_is_read(read, segmentation):
    (photo,), said = read([image(1, "a.png")], [annotation(1, segmentation)])
    (mask,) = photo.masks()
    assert (mask == square()).all()
    assert said == []


@pytest.mark.parametrize("file_format", ["coco_rle", "coco_polygons"])
def test_the_exports_of_the_demo_are_read(folder, tmp_path, file_format):
    masks = drawn_photo(0)[1]
    objects = [PhotoObject(f"object {n}", mask) for n, mask in enumerate(masks)]
    path = folder / "a.png"
    name, data = export_file(file_format, open_photo(path), objects, path.name)
    (tmp_path / name).write_bytes(data)
    (photo,) = read_annotations([tmp_path / name], folder, SIZE, pytest.fail)
    assert sorted(mask.sum() for mask in photo.masks()) == sorted(mask.sum() for mask in masks)
    assert photo.size_hw == PHOTO_HW


def test_one_file_for_each_photo_is_one_set(tmp_path):
    photos, whole = save_dataset(tmp_path, 3)
    document = json.loads(whole.read_text())
    files = []
    for one in document["images"]:
        of_photo = [item for item in document["annotations"] if item["image_id"] == one["id"]]
        renumbered = [{**item, "image_id": 1} for item in of_photo]
        files.append(save_coco(tmp_path / f"{one['id']}.json", [{**one, "id": 1}], renumbered))
    together = read_annotations(files[::-1], photos, SIZE, pytest.fail)
    expected = read_annotations([whole], photos, SIZE, pytest.fail)
    assert len(expected) == 3
    assert [(photo.digest, photo.rles) for photo in together] == [
        (photo.digest, photo.rles) for photo in expected
    ]


def test_large_photos_have_masks_of_the_size_that_the_model_sees(read):
    (photo,), _ = read([image(1, "a.png")], [annotation(1, [SQUARE])], size=64)
    assert photo.size_hw == (48, 64)
    (mask,) = photo.masks()
    assert mask.sum() == square().sum() / 4
    assert mask[10:25, 5:15].all()


def test_annotations_without_a_usable_mask_are_skipped_and_counted(read):
    empty = {"size": list(PHOTO_HW), "counts": [HEIGHT * WIDTH]}
    (photo,), said = read(
        [image(1, "a.png")],
        [
            annotation(1, [SQUARE]),
            annotation(1, mask_to_coco_rle(square()), iscrowd=1),
            annotation(1, mask_to_coco_rle(square()), iscrowd=1),
            annotation(1, []),
            {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]},
            annotation(1, empty),
            annotation(1, [[1, 2, 3]]),
            annotation(1, {"size": [10**9, 10**9], "counts": [10**18]}),
        ],
    )
    assert len(photo.rles) == 1
    assert said == [
        "Skipped annotations: 2 of crowds, 2 without a mask, 1 with an empty mask, "
        "2 that cannot be read."
    ]


def test_photos_that_cannot_be_used_are_skipped_and_named(read, folder):
    (folder / "broken.png").write_bytes(b"no photo")
    (folder / "sub").mkdir()
    shutil.copy(folder / "a.png", folder.parent / "outside.png")
    names = ["a.png", "missing.png", "broken.png", "sub", "../outside.png", "nul\0.png"]
    images = [image(number, name) for number, name in enumerate(names)]
    images.append(image(6, "a.png", (10, 10)))
    photos, said = read(images, [annotation(number, [SQUARE]) for number in range(7)])
    assert [photo.path.name for photo in photos] == ["a.png"]
    for name, sentence in zip(names[1:], said, strict=False):
        assert sentence.startswith(f"{name} is skipped: ")
    assert said[-1] == "1 more photos are skipped."
    assert len(said) == 6


def test_photos_without_annotations_are_not_read(read):
    photos, said = read([image(1, "a.png"), image(2, "missing.png")], [annotation(1, [SQUARE])])
    assert (len(photos), said) == (1, [])


def test_copies_of_a_photo_are_one_photo_with_all_masks(read, folder):
    (folder / "sub").mkdir()
    shutil.copy(folder / "a.png", folder / "sub" / "b.png")
    names = ["a.png", "./a.png", "sub/b.png", "a.png"]
    other = [1, 1, 9, 1, 9, 9, 1, 9]
    photos, _ = read(
        [image(number, name) for number, name in enumerate(names)],
        [
            *(annotation(number, [SQUARE]) for number in range(4)),
            annotation(2, [other]),
        ],
    )
    assert [sorted(mask.sum() for mask in photo.masks()) for photo in photos] == [[64, 600]]


@pytest.mark.parametrize("annotations", [[], [annotation(1, [])], [annotation(2, [SQUARE])]])
def test_annotations_without_masks_are_one_sentence(read, annotations):
    with pytest.raises(AnnotationError, match=r"^No photo in .*photos has a mask in these"):
        read([image(1, "a.png")], annotations)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xd8\xff", b"[]", b"{}", b'"a"', b"[" * 100_000, b'{"images": 3}',
     b'{"images": [{"id": 1}], "annotations": []}',
     b'{"images": [], "annotations": [{"image_id": {}}]}',
     b'{"images": [{"id": 1, "file_name": "a.png", "height": 1e999}], "annotations": []}'],
)  # fmt: skip
def test_a_file_that_is_no_coco_file_is_one_sentence_with_its_name(data, folder, tmp_path):
    path = tmp_path / "other.json"
    path.write_bytes(data)
    with pytest.raises(AnnotationError, match=r"^\S+other.json: This .*\.$") as error:
        read_annotations([path], folder, SIZE, pytest.fail)
    assert len(str(error.value)) < 300 + len(str(path))


def test_a_file_or_folder_that_is_missing_is_one_sentence(folder, tmp_path):
    with pytest.raises(AnnotationError, match=r"none.json cannot be read: No such file"):
        read_annotations([tmp_path / "none.json"], folder, SIZE, pytest.fail)
    with pytest.raises(ImageError, match=r"nowhere does not exist"):
        read_annotations([tmp_path / "none.json"], tmp_path / "nowhere", SIZE, pytest.fail)


def test_a_file_that_is_too_large_is_one_sentence(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("mobilesam.training.annotations.MAX_FILE_BYTES", 1000)
    path = tmp_path / "large.json"
    path.write_bytes(b" " * 1001)
    with pytest.raises(AnnotationError, match="at most"):
        read_annotations([path], folder, SIZE, pytest.fail)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(
    segmentation=ANYTHING | st.lists(st.lists(ANYTHING)),
    extra=st.dictionaries(st.sampled_from(["iscrowd", "bbox", "id"]), ANYTHING),
)
def test_a_hostile_annotation_does_no_harm_to_the_others(tmp_path_factory, segmentation, extra):
    folder = tmp_path_factory.getbasetemp() / "hostile"
    if not folder.exists():
        folder.mkdir()
        Image.fromarray(drawn_photo(0)[0]).save(folder / "a.png")
    hostile = annotation(1, segmentation, **extra)
    file = folder / "coco.json"
    document = {"images": [image(1, "a.png")], "annotations": [hostile, annotation(1, [SQUARE])]}
    try:
        file.write_text(json.dumps(document, allow_nan=False))
    except ValueError:
        return
    (photo,) = read_annotations([file], folder, SIZE, lambda sentence: None)
    assert any((mask == square()).all() for mask in photo.masks())


_NAMES = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda name: name.strip(".") and len(name.encode()) < 200)


@settings(max_examples=25, deadline=None)
@given(
    names=st.lists(
        st.tuples(st.sampled_from(["", "sub", "sub/ä b"]), _NAMES), min_size=2, max_size=8
    ),
    seed=st.integers(0, 2**31),
    share=st.floats(0, 1),
    data=st.data(),
)
def test_a_split_never_has_a_photo_on_both_sides(tmp_path_factory, names, seed, share, data):
    """Whatever the files are called, and however many copies of a photo there are."""
    folder = tmp_path_factory.mktemp("split")
    images, contents = [], {}
    for number, (parent, name) in enumerate(names):
        path = folder / parent / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = data.draw(st.integers(0, 4))
        Image.new("L", (WIDTH, HEIGHT), grey).save(path)
        contents[path] = grey
        images.append(image(number, f"{parent}/{name}.png" if parent else f"{name}.png"))
    annotations = [annotation(number, [SQUARE]) for number in range(len(names))]
    file = save_coco(folder / "coco.json", images, annotations)
    photos = read_annotations([file], folder, SIZE, pytest.fail)
    assert len(photos) == len(set(contents.values()))
    held_out = round(share * len(photos))
    learned, evaluated = split_photos(photos, held_out, seed)
    greys = [{contents[photo.path] for photo in part} for part in (learned, evaluated)]
    assert not greys[0] & greys[1]
    assert greys[0] | greys[1] == set(contents.values())
    assert len(evaluated) == held_out


def test_a_split_depends_on_the_seed_and_on_the_content_alone(tmp_path):
    photos, file = save_dataset(tmp_path, 8)
    split = split_photos(read_annotations([file], photos, SIZE, pytest.fail), 4, seed=1)
    document = json.loads(file.read_text())
    for one in document["images"]:
        (photos / one["file_name"]).rename(photos / f"new-{one['file_name']}")
        one["file_name"] = f"new-{one['file_name']}"
    file.write_text(json.dumps(document))
    renamed = read_annotations([file], photos, SIZE, pytest.fail)

    def digests(parts):
        return [[photo.digest for photo in part] for part in parts]

    assert digests(split_photos(renamed[::-1], 4, seed=1)) == digests(split)
    assert any(digests(split_photos(renamed, 4, seed)) != digests(split) for seed in range(2, 5))
