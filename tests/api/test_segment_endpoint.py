"""/segment by gradio_client: the Python API's answers, and one sentence for a bad question."""

import threading

import httpx
import numpy as np
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from pycocotools import mask as coco_mask

from mobilesam import Prompt, clean_mask
from tests.bad_files import header_bomb, truncated_jpeg
from tests.serving import (
    BLUE,
    LEFT,
    RIGHT,
    YELLOW,
    Disc,
    assert_same_masks,
    connect,
    draw,
    iou,
    save_rotated,
)

BOX = list(LEFT.box)


@pytest.fixture
def ask(client, photo):
    """ask(points, box, multimask, clean, image=...): the answer of /segment."""

    def segment(points=None, box=None, multimask=None, clean=None, image=photo, client=client):
        arguments = handle_file(image), points, box, multimask, clean
        return client.predict(*arguments, api_name="/segment")

    return segment


def decoded(answer):
    return np.stack([coco_mask.decode(one["rle"]) == 1 for one in answer["masks"]])


def test_the_endpoint_takes_its_arguments_in_this_order(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert list(endpoints) == ["/segment", "/everything", "/export"]
    parameters = endpoints["/segment"]["parameters"]
    names = [parameter["parameter_name"] for parameter in parameters]
    assert names == ["image", "points", "box", "multimask", "clean", "prompts"]
    assert [value["label"] for value in endpoints["/segment"]["returns"]] == ["masks"]


def test_it_can_be_called_by_name_with_a_point_alone(client, photo):
    answer = client.predict(
        image=handle_file(photo), points=[[*LEFT.centre, 1]], box=None, multimask=None,
        clean=None, api_name="/segment",
    )  # fmt: skip
    assert decoded(answer)[0][LEFT.y, LEFT.x]


def test_several_prompts_have_one_mask_each(client, ask, photo):
    prompts = [
        {"points": [[*LEFT.centre, 1]]},
        {"box": list(RIGHT.box)},
        {"points": [[*LEFT.centre, 1], [20, 20, 0]], "box": BOX},
    ]
    image = handle_file(photo)
    answer = client.predict(image, None, None, None, True, prompts, api_name="/segment")
    assert answer["best"] is None
    assert len(answer["masks"]) == len(prompts)
    for prompt, mask in zip(prompts, answer["masks"], strict=True):
        alone = ask(prompt.get("points"), prompt.get("box"), clean=True)
        assert mask == alone["masks"][alone["best"]]
    objects = [{"name": "disc", "rle": mask["rle"]} for mask in answer["masks"]]
    assert client.predict(image, objects, "coco_rle", api_name="/export")


BAD_PROMPTS = {
    "a number": (7, "prompts must be a list"),
    "none": ([], "1 or more"),
    "too many": ([{"box": BOX}] * 101, "at most 100"),
    "an empty one": ([{"box": BOX}, {}], "at least one point or a box"),
    "a bad point": ([{"box": BOX}, {"points": [[1, 2]]}], r"prompts\[1\]: points\[0\] must be"),
    "a point outside": ([{"points": [[10**6, 2, 1]]}], "outside"),
    "another field": ([{"boxes": [BOX]}], "boxes is not a known field"),
}


@pytest.mark.parametrize("name", BAD_PROMPTS)
def test_bad_prompts_get_one_sentence(client, photo, name):
    prompts, message = BAD_PROMPTS[name]
    with pytest.raises(AppError, match=message):
        client.predict(handle_file(photo), None, None, None, None, prompts, api_name="/segment")


def test_prompts_stand_alone(client, photo):
    with pytest.raises(AppError, match="Give prompts alone"):
        client.predict(
            handle_file(photo), None, BOX, None, None, [{"box": BOX}], api_name="/segment"
        )


QUESTIONS = {
    "a point": ([[*LEFT.centre, 1]], None),
    "points": ([[*LEFT.centre, 1], [*RIGHT.centre, 1], [20, 20, 0]], None),
    "a box": ([], BOX),
    "a box without points": (None, BOX),
    "a box and points": ([[*LEFT.centre, 1], [130, 140, 0]], BOX),
    "fractions": ([[90.25, 99.75, 1]], [30.5, 40.5, 150.5, 160.5]),
}


@pytest.mark.parametrize("multimask", [True, False, None])
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_answer_is_that_of_the_python_api(ask, bundled, photo, question, multimask):
    points, box = QUESTIONS[question]
    answer = ask(points, box, multimask)
    prompt = Prompt([row[:2] for row in points or []], [row[2] for row in points or []], box)
    prediction = bundled.predict(bundled.encode(photo), prompt, multimask_output=multimask)
    assert answer["size"] == [200, 300]
    assert answer["best"] == prediction.best
    assert_same_masks(decoded(answer), prediction.masks)
    assert (
        len(answer["masks"])
        == {True: 3, False: 1, None: 3 if question == "a point" else 1}[multimask]
    )
    for one, predicted in zip(answer["masks"], prediction.iou_predictions, strict=True):
        assert one["predicted_iou"] == pytest.approx(predicted, abs=1e-5)
        assert one["rle"]["size"] == [200, 300]
        assert one["area"] == coco_mask.area(one["rle"])
        assert one["bbox"] == coco_mask.toBbox(one["rle"]).tolist()


def test_masks_are_cleaned_if_asked(ask, bundled, photo):
    prompt = Prompt([(30, 100)], [1])
    masks = bundled.predict(bundled.encode(photo), prompt).masks
    expected = np.stack([clean_mask(mask, prompt) for mask in masks])
    assert not np.array_equal(masks, expected)
    for clean, cleaned in ((True, expected), (False, masks), (None, masks)):
        assert_same_masks(decoded(ask([[30, 100, 1]], clean=clean)), cleaned)


def test_a_box_given_from_its_other_corner_is_the_same_box(ask):
    x0, y0, x1, y1 = BOX
    assert ask(box=[x1, y1, x0, y0]) == ask(box=BOX)


def test_a_phones_sideways_photo_is_asked_and_answered_upright(ask, tmp_path):
    top, bottom = Disc(50, 60, 30), Disc(140, 230, 40, YELLOW)
    path = save_rotated(draw(200, 300, [top, bottom]), tmp_path / "phone.jpg")
    answer = ask([[*top.centre, 1]], image=path)
    assert answer["size"] == [300, 200]
    y, x = np.mgrid[:300, :200]
    truth = (x - top.x) ** 2 + (y - top.y) ** 2 <= top.radius**2
    assert max(iou(mask, truth) for mask in decoded(answer)) > 0.9


def test_an_animated_gif_is_answered_for_its_first_frame(ask, tmp_path):
    frames = [draw(), draw(300, 200, [Disc(200, 100, 60)], ground=(0, 0, 0))]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    mask = decoded(ask([[*LEFT.centre, 1]], image=tmp_path / "moving.gif"))[0]
    assert mask[LEFT.y, LEFT.x]
    assert not mask[100, 200]


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (1, 700)])
def test_the_thinnest_photos_are_answered_at_their_own_size(ask, tmp_path, size):
    draw(*size, []).save(tmp_path / "thin.png")
    answer = ask([[0, 0, 1]], image=tmp_path / "thin.png")
    assert answer["size"] == [size[1], size[0]]
    assert decoded(answer).shape == (3, size[1], size[0])


def points(count):
    return [[1 + number, 10, 1] for number in range(count)]


BAD_QUESTIONS = {
    "nothing": ((None, None, None), "at least one point or a box"),
    "no points": (([], None, None), "at least one point or a box"),
    "a point outside": (([[301, 10, 1]], None, None), "is outside the 300 x 200 photo"),
    "a point before": (([[-1, 10, 1]], None, None), "is outside the 300 x 200 photo"),
    "a box outside": ((None, [0, 0, 300, 201], None), "is outside the 300 x 200 photo"),
    "an empty box": ((None, [10, 10, 10, 50], None), "box is empty"),
    "half a box": ((None, [10, 10, 50], None), "box must be [x0, y0, x1, y1]"),
    "a box of words": ((None, ["a", "b", "c", "d"], None), "box[0] must be a finite number"),
    "a box by name": ((None, {"x0": 1}, None), "box must be [x0, y0, x1, y1]"),
    "NaN in words": (([["NaN", 10, 1]], None, None), "points[0][0] must be a finite number"),
    "null": (([[None, 10, 1]], None, None), "points[0][0] must be a finite number"),
    "true": (([[True, 10, 1]], None, None), "points[0][0] must be a finite number"),
    "too many points": ((points(65), None, None), "points must have at most 64 items"),
    "a label of two": (
        ([[10, 10, 2]], None, None),
        "points[0][2] must be 1 (foreground) or 0 (background)",
    ),
    "a label of minus one": (
        ([[10, 10, -1]], None, None),
        "points[0][2] must be 1 (foreground) or 0 (background)",
    ),
    "a label of words": (
        ([[10, 10, "yes"]], None, None),
        "points[0][2] must be 1 (foreground) or 0 (background)",
    ),
    "no label": (([[10, 10]], None, None), "points[0] must be [x, y, label]"),
    "a flat list": (([10, 10, 1], None, None), "points[0] must be [x, y, label]"),
    "points by name": (({"x": 10}, None, None), "points must be a list"),
    "multimask in words": (([[10, 10, 1]], None, "yes"), "multimask must be true, false or null"),
    "multimask of two": (([[10, 10, 1]], None, 2), "multimask must be true, false or null"),
    "clean in words": (([[10, 10, 1]], None, None, "yes"), "clean must be true, false or null"),
    "multimask as a list": (([[10, 10, 1]], None, []), "multimask must be true, false or null"),
}


@pytest.mark.parametrize("kind", BAD_QUESTIONS)
def test_a_bad_question_gets_one_sentence(ask, kind):
    arguments, sentence = BAD_QUESTIONS[kind]
    with pytest.raises(AppError) as refusal:
        ask(*arguments)
    assert sentence in str(refusal.value)


def test_sixty_four_points_are_answered(ask):
    assert len(ask(points(64))["masks"]) == 1


BAD_FILES = {
    "junk": (lambda _: bytes(range(256)) * 9, "not a photo that can be read"),
    "text": (lambda _: b"no photo\n", "not a photo that can be read"),
    "truncated": (lambda _: truncated_jpeg(), "damaged or incomplete"),
    "too many pixels": (lambda _: header_bomb(), "more than 40 megapixels"),
    "vector": (lambda _: b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not a photo"),
    "PostScript": (lambda _: b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a photo"),
    "empty": (lambda _: b"", "empty"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_gets_one_sentence(ask, tmp_path, kind):
    make, sentence = BAD_FILES[kind]
    path = tmp_path / "photo.jpg"
    path.write_bytes(make(tmp_path))
    with pytest.raises(AppError, match=sentence):
        ask([[1, 1, 1]], image=path)


def test_no_photo_gets_one_sentence(client):
    with pytest.raises(AppError, match="does not have the photo"):
        client.predict(None, [[1, 1, 1]], None, None, api_name="/segment")


def test_a_file_above_the_limit_is_refused_before_it_is_stored(app):
    huge = {"files": ("huge.jpg", bytes(20_000_001), "image/jpeg")}
    reply = httpx.post(f"{app.url}gradio_api/upload", files=huge, timeout=60)
    assert reply.status_code == 413


def test_the_server_goes_on_after_all_that(ask):
    assert decoded(ask([[*LEFT.centre, 1]]))[0][LEFT.y, LEFT.x]


def test_two_clients_at_once_get_their_own_masks(app, ask, bundled, photo, tmp_path):
    other = tmp_path / "other.png"
    draw(240, 320, [Disc(120, 200, 60, BLUE), Disc(60, 60, 25)]).save(other)
    questions = {photo: [LEFT.centre, RIGHT.centre], other: [(120, 200), (60, 60)]}
    answers = {path: [] for path in questions}

    def visit(path):
        mine = connect(app.url)
        for _ in range(3):
            for xy in questions[path]:
                answer = ask([[*xy, 1]], image=path, client=mine)
                answers[path].append((xy, answer["size"], decoded(answer)))

    visits = [threading.Thread(target=visit, args=(path,)) for path in questions]
    for one in visits:
        one.start()
    for one in visits:
        one.join()
    for path, given in answers.items():
        embedding = bundled.encode(path)
        assert len(given) == 6
        for xy, size, masks in given:
            assert size == list(embedding.original_size)
            assert_same_masks(masks, bundled.predict(embedding, Prompt([xy], [1])).masks)
