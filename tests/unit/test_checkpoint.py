"""Checkpoints are loaded strictly, safely, and before the model goes into eval mode."""

from __future__ import annotations

import ast
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from segment_anything.modeling import Sam

from mobilesam import WeightsError
from mobilesam.model.checkpoint import check_shards, checkpoint_digest, load_checkpoint
from mobilesam.model.sam import build_sam, load_sam
from mobilesam.model.weights import WEIGHTS_DIR, resolve_weights

KEYS = Path(__file__).parents[1] / "reference" / "checkpoint_keys.tsv"
A_NECK = "image_encoder.neck.0.weight"

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def official_state() -> State:
    """Random tensors with the names, shapes and dtypes of the official mobile_sam.pt."""
    generator = torch.Generator().manual_seed(11)
    state = {}
    for line in KEYS.read_text(encoding="ascii").splitlines():
        name, shape, dtype = line.split("\t")
        tensor = torch.randn(ast.literal_eval(shape), generator=generator)
        tensor = tensor.abs() + 0.5 if name.endswith("running_var") else tensor * 0.05
        state[name] = tensor.to(getattr(torch, dtype.removeprefix("torch.")))
    return state


@pytest.fixture(scope="module")
def official_file(official_state: State, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("official") / "mobile_sam.pt"
    torch.save(official_state, path)
    return path


@pytest.fixture
def save(tmp_path):
    """save(state): the path of a .pt file that holds it."""

    def save_pt(state: object) -> Path:
        path = tmp_path / "changed.pt"
        torch.save(state, path)
        return path

    return save_pt


@pytest.fixture(scope="module")
def architecture() -> Sam:
    """A model for checkpoints that are refused; it is not changed."""
    return build_sam()


@pytest.fixture(scope="module")
def loaded(official_file: Path) -> Sam:
    return load(official_file)


def load(path: Path) -> Sam:
    return load_sam(path, torch.device("cpu"))


def encode(sam, seed: int = 0) -> torch.Tensor:
    """The embedding of 512 x 512 pixels, which are faster than 1024 x 1024."""
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        return sam.image_encoder(torch.randn(1, 3, 512, 512, generator=generator))


def test_the_layout_of_the_official_checkpoint_loads(loaded, official_state):
    for ours, theirs in {
        "image_encoder.neck.0.weight": "image_encoder.neck.0.weight",
        "image_encoder.trunk.patch_embed.conv2.conv.weight": (
            "image_encoder.patch_embed.seq.2.c.weight"
        ),
        "image_encoder.trunk.stages.0.blocks.1.conv3.bn.running_var": (
            "image_encoder.layers.0.blocks.1.conv3.bn.running_var"
        ),
        "image_encoder.trunk.stages.1.downsample.conv2.conv.weight": (
            "image_encoder.layers.0.downsample.conv2.c.weight"
        ),
        "image_encoder.trunk.stages.3.blocks.1.attn.qkv.weight": (
            "image_encoder.layers.3.blocks.1.attn.qkv.weight"
        ),
        "mask_decoder.iou_token.weight": "mask_decoder.iou_token.weight",
    }.items():
        assert loaded.state_dict()[ours].equal(official_state[theirs]), ours


def test_every_official_tensor_but_the_classifiers_is_used(loaded, official_state):
    used = {
        name
        for name in official_state
        if not name.startswith(("image_encoder.head.", "image_encoder.norm_head."))
    }
    tensors = list(loaded.state_dict().values())
    assert len(tensors) == len(used)
    for name in used:
        assert any(official_state[name].equal(tensor) for tensor in tensors), name


def test_safetensors_with_the_official_names_give_the_same_model(loaded, official_state, tmp_path):
    save_file(official_state, tmp_path / "mobile_sam.safetensors")
    ours = load(tmp_path / "mobile_sam.safetensors").state_dict()
    for name, tensor in loaded.state_dict().items():
        assert ours[name].equal(tensor), name


def test_the_loaded_model_is_in_eval_mode_on_its_device_without_gradients(loaded):
    assert not any(module.training for module in loaded.modules())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert {parameter.device.type for parameter in loaded.parameters()} == {"cpu"}


@pytest.mark.slow
def test_the_loaded_model_computes_with_the_weights_of_the_file(loaded, official_file):
    by_hand = build_sam()
    load_checkpoint(by_hand, official_file)
    by_hand.eval()
    assert encode(loaded).equal(encode(by_hand))


def test_a_missing_tensor_is_named(architecture, official_state, save):
    state = {name: tensor for name, tensor in official_state.items() if name != A_NECK}
    with pytest.raises(WeightsError, match=rf"not a MobileSAM checkpoint: Missing key.*{A_NECK}"):
        load_checkpoint(architecture, save(state))


def test_an_unknown_tensor_is_named(architecture, official_state, save):
    with pytest.raises(WeightsError, match=r"checkpoint: Unexpected key.*intruder"):
        load_checkpoint(
            architecture, save({**official_state, "mask_decoder.intruder": torch.zeros(3)})
        )


@pytest.mark.parametrize("shape", [(256, 320), (256, 320, 1, 1, 1), (1,), ()])
def test_a_tensor_of_another_shape_is_named(architecture, official_state, save, shape):
    with pytest.raises(WeightsError, match=A_NECK):
        load_checkpoint(architecture, save({**official_state, A_NECK: torch.zeros(shape)}))


class Bomb:
    """Unpickling it would create a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("plain_pickle", [False, True], ids=["torch.save", "pickle.dump"])
def test_a_pickle_that_would_run_code_is_refused_and_not_run(
    architecture, official_state, tmp_path, plain_pickle
):
    state = {**official_state, "extra": Bomb(tmp_path / "executed")}
    path = tmp_path / "bomb.pt"
    if plain_pickle:
        path.write_bytes(pickle.dumps({"extra": Bomb(tmp_path / "executed")}, protocol=2))
    else:
        torch.save(state, path)
    with pytest.raises(WeightsError, match=r"bomb\.pt"):
        load_checkpoint(architecture, path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content",
    [
        {"model": {"a": torch.zeros(1)}},
        {"a": 1},
        {1: torch.zeros(1)},
        [torch.zeros(1)],
        torch.zeros(1),
        None,
    ],
    ids=["nested", "a number", "a number as name", "a list", "a tensor", "None"],
)
def test_what_is_not_a_plain_state_dict_is_refused(architecture, save, content):
    with pytest.raises(WeightsError, match="plain state dict"):
        load_checkpoint(architecture, save(content))


@pytest.mark.parametrize("suffix", ["pt", "safetensors", "bin"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"junk " * 100,
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 40728226\n",
        b"PK\x03\x04 not a zip",
        b"\xff" * 64,
        b"<!doctype html><title>404</title>",
        b"\x80\x02a.",
    ],
    ids=["empty", "junk", "lfs pointer", "zip", "bytes", "html", "pickle of nothing"],
)
def test_a_file_that_is_not_a_checkpoint_is_refused(architecture, tmp_path, content, suffix):
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="weights"):
        load_checkpoint(architecture, path)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_truncated_checkpoint_is_refused(
    architecture, official_file, official_state, tmp_path, suffix, share
):
    path = tmp_path / f"cut.{suffix}"
    if suffix == "pt":
        shutil.copy(official_file, path)
    else:
        save_file(official_state, path)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    with pytest.raises(WeightsError, match="cut"):
        load_checkpoint(architecture, path)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_one_changed_bit_in_a_checkpoint_is_detected(architecture, official_file, tmp_path, place):
    path = tmp_path / "flipped.pt"
    shutil.copy(official_file, path)
    damage(path, place)
    with pytest.raises(WeightsError, match=r"flipped\.pt .*download it again"):
        load_checkpoint(architecture, path)


def test_a_compressed_checkpoint_is_not_decompressed(architecture, tmp_path, monkeypatch):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data/0", bytes(10_000_000))
    unpacked = []
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: unpacked.append(args))
    with pytest.raises(WeightsError, match=r"bomb\.pt"):
        load_checkpoint(architecture, path)
    assert not unpacked


@pytest.mark.parametrize("kind", ["nan", "infinite", "sparse", "meta", "complex", "int8"])
def test_a_tensor_without_finite_numbers_is_refused(architecture, official_state, save, kind):
    plain = official_state[A_NECK]
    tensor = {
        "nan": plain.masked_fill(plain > 0, float("nan")),
        "infinite": plain.masked_fill(plain > 0, float("inf")),
        "sparse": plain.to_sparse(),
        "meta": plain.to("meta"),
        "complex": plain.to(torch.complex64),
        "int8": plain.to(torch.int8),
    }[kind]
    with pytest.raises(WeightsError, match="download it again"):
        load_checkpoint(architecture, save({**official_state, A_NECK: tensor}))


@pytest.mark.parametrize("name", ["missing.pt", "missing.safetensors", "missing"])
def test_a_checkpoint_that_does_not_exist_is_refused(architecture, tmp_path, name):
    with pytest.raises(WeightsError, match="does not exist"):
        load_checkpoint(architecture, tmp_path / name)


def test_a_folder_without_shards_is_refused(architecture, tmp_path):
    with pytest.raises(WeightsError, match="Missing key"):
        load_checkpoint(architecture, tmp_path)


@pytest.fixture
def bundled_copy(tmp_path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    for file in WEIGHTS_DIR.iterdir():
        if "model" in file.name or file.name == "SHA256SUMS":
            shutil.copy(file, folder)
    return folder


def damage(path: Path, place: float = 0.5) -> None:
    with path.open("r+b") as file:
        file.seek(int(path.stat().st_size * place))
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def test_an_intact_copy_of_the_bundled_weights_is_the_same_checkpoint(bundled_copy):
    assert resolve_weights("bundled", folder=bundled_copy).path == bundled_copy
    assert checkpoint_digest(bundled_copy) == checkpoint_digest(WEIGHTS_DIR)


@pytest.mark.parametrize("spoil", [damage, Path.unlink, lambda path: path.write_text("version")])
@pytest.mark.parametrize("part", ["00001-of-00003", "00003-of-00003", "index"])
def test_a_bundled_folder_with_a_damaged_part_is_refused(bundled_copy, part, spoil):
    (file,) = bundled_copy.glob(f"*{part}*")
    spoil(file)
    with pytest.raises(WeightsError, match=file.name):
        resolve_weights("bundled", folder=bundled_copy)


@pytest.mark.parametrize("content", [None, "version", "\n", "", "a b c\n", b"\xff\xfe"])
def test_a_bundled_folder_with_damaged_checksums_is_refused(bundled_copy, content):
    sums = bundled_copy / "SHA256SUMS"
    if content is None:
        sums.unlink()
    else:
        sums.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(WeightsError, match="SHA256SUMS"):
        check_shards(bundled_copy)


def test_the_digest_changes_with_one_bit(bundled_copy):
    before = checkpoint_digest(bundled_copy)
    damage(bundled_copy / "model-00003-of-00003.safetensors")
    assert checkpoint_digest(bundled_copy) != before
