"""The examples of docs/api.md, run as they are written against the running app."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mobilesam import Prompt, clean_mask
from tests.serving import ROOT, assert_same_masks

README = (ROOT / "README.md").read_text(encoding="utf-8")
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", API, re.MULTILINE | re.DOTALL)
WRITTEN_URL = "http://127.0.0.1:7860"


def blocks(language):
    return [code for name, code in BLOCKS if name == language]


@pytest.fixture
def folder(tmp_path):
    """A folder with a photo.jpg."""
    shutil.copy(ROOT / "examples" / "fig.jpg", tmp_path / "photo.jpg")
    return tmp_path


@pytest.fixture(scope="module")
def expected(bundled):
    return bundled.predict(
        bundled.encode(ROOT / "examples" / "fig.jpg"), Prompt([(320, 240)], [1])
    ).masks


def run_python(code, folder):
    """The code in a process of its own, then what it calls `answer` or `mask`, as JSON."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder,
        env={
            "PYTHONPATH": str(ROOT),
            "MOBILESAM_WEIGHTS": "bundled",
            "MOBILESAM_PRECISION": "float32",
            "HF_HUB_OFFLINE": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def here(code, app):
    assert WRITTEN_URL in code
    return code.replace(WRITTEN_URL + "/", app.url).replace(WRITTEN_URL, app.url.rstrip("/"))


def decoded(answer):
    return np.stack([coco_mask.decode(one["rle"]) == 1 for one in answer["masks"]])


def test_there_is_an_example_for_each_kind_of_program():
    assert [name for name, _ in BLOCKS] == ["python", "python", "python", "sh", "js", ""]


def test_the_python_example_begins_as_in_the_readme():
    (code,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert blocks("python")[0].startswith(code)


def test_the_python_example(folder, bundled):
    code = blocks("python")[0] + "\nprint(int(mask.sum()), int(prediction.masks.sum()))"
    embedding = bundled.encode(folder / "photo.jpg")
    prompt = Prompt([(320, 240)], [1])
    first = bundled.predict(embedding, prompt)
    logits = first.low_res_logits[first.best : first.best + 1]
    second = bundled.predict(embedding, prompt.add_point(400, 250, 0), mask_input=logits)
    mask = clean_mask(first.masks[first.best], prompt)
    areas = [int(area) for area in run_python(code, folder).split()]
    assert areas == pytest.approx([mask.sum(), second.masks.sum()], rel=1e-3)


def test_the_example_of_annotation_files(folder):
    shape = {"label": "cat", "shape_type": "rectangle", "points": [[1, 1], [9, 9]]}
    point = {"label": "cat", "shape_type": "point", "points": [[1, 1]]}
    documents = {"flower.jpg": [shape, shape, point], "train/tree.jpg": [shape]}
    with zipfile.ZipFile(folder / "annotations.zip", "w") as archive:
        for name, shapes in documents.items():
            document = {"imagePath": name, "shapes": shapes}
            archive.writestr(f"{Path(name).stem}.json", json.dumps(document))
    code = "data = open('annotations.zip', 'rb').read()\n" + blocks("python")[1]
    code += "import json\nprint(json.dumps([{k: len(v) for k, v in imported.objects.items()}, "
    code += "imported.unmatched, imported.skipped]))"
    answer = json.loads(run_python(code, folder))
    assert answer == [{"0": 2}, {"train/tree.jpg": 1}, {"points": 1}]


def test_the_client_example(app, folder, expected):
    code = here(blocks("python")[2], app) + "\nimport json; print(json.dumps([answer, file]))"
    answer, file = json.loads(run_python(code, folder))
    assert_same_masks(decoded(answer), expected)
    with open(file, encoding="utf-8") as opened:
        assert json.loads(opened.read())["categories"][0]["name"] == "cat"


@pytest.mark.parametrize("name", ["photo.jpg", "photo[1].jpg"])
def test_the_curl_example(app, folder, expected, name):
    (folder / "photo.jpg").rename(folder / name)
    done = subprocess.run(
        ["sh", "-euc", here(blocks("sh")[0], app).replace("photo.jpg", name)],
        cwd=folder, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    event, data = done.stdout.strip().splitlines()[-2:]
    assert event == "event: complete"
    assert_same_masks(decoded(json.loads(data.removeprefix("data: "))[0]), expected)


def test_the_javascript_example(app, browser, folder, expected):
    program = "async () => { const file = document.querySelector('#example').files[0];\n"
    program += here(blocks("js")[0], app) + "return answer; }"
    page = browser.new_page()
    page.goto(f"{app.url}config")  # any page of the app, so that fetch may call it
    page.set_content('<input type="file" id="example">')
    page.set_input_files("#example", folder / "photo.jpg")
    answer = page.evaluate(program)
    page.close()
    assert_same_masks(decoded(answer), expected)
