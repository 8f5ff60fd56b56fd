"""Images of any number of channels: grey, colours, bands of a TIFF; from the training to the prediction."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors.torch import load_file

from backbones import InputError, create_backbone
from tasks import load_predictor
from tasks.commands.doctor import main as doctor
from tasks.commands.evaluate import main as evaluate
from tasks.commands.predict import main as predict
from tasks.commands.train import main as train
from tasks.data import Intensity, Reading, read_image, shown


def _tiff(folder: Path, bands: np.ndarray[Any, Any], **more: Any) -> Path:
    path = folder / "a.tif"
    tifffile.imwrite(path, bands, photometric="minisblack", **more)
    return path


@pytest.mark.parametrize("planar", [True, False])
@pytest.mark.parametrize("channels", [2, 4, 5, 13])
def test_bands_of_a_tiff(channels: int, planar: bool, tmp_path: Path) -> None:
    bands = np.random.default_rng(0).integers(0, 256, (20, 30, channels), dtype=np.uint8)
    path = _tiff(
        tmp_path, bands.transpose(2, 0, 1) if planar else bands, planarconfig="separate" if planar else "contig"
    )
    assert np.array_equal(read_image(path, Reading(channels)), bands)
    with pytest.raises(InputError, match=rf"a.tif: .* the backbone takes {channels + 1} channels; data for another"):
        read_image(path, Reading(channels + 1))


def test_deep_bands_take_their_levels_from_the_policy(tmp_path: Path) -> None:
    bands = np.full((4, 6, 5), 2048, np.uint16)
    levels = read_image(_tiff(tmp_path, bands, planarconfig="contig"), Reading(5, Intensity.of("0,4095")))
    assert levels.dtype == np.uint8
    assert set(levels.reshape(-1).tolist()) == {128}


def test_colours_of_16_bits(tmp_path: Path) -> None:
    bands = np.full((4, 6, 3), 65535, np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", bands, photometric="rgb")
    assert (read_image(tmp_path / "a.tif") == 255).all()


def test_grey_and_opacity(tmp_path: Path) -> None:
    colours = np.dstack([np.full((4, 6), value, np.uint8) for value in (255, 0, 0, 90)])
    Image.fromarray(colours).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", Reading(1))[0, 0].tolist() == [76]  # 0.299 of 255
    assert read_image(tmp_path / "a.png", Reading(3))[0, 0].tolist() == [255, 0, 0]
    assert read_image(tmp_path / "a.png", Reading(4))[0, 0].tolist() == [255, 0, 0, 90]
    Image.fromarray(colours[..., :3]).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"b.png: has 3 channels, the backbone takes 4; data for another"):
        read_image(tmp_path / "b.png", Reading(4))


def test_compressed_bands(tmp_path: Path) -> None:
    """Pillow reads four of them; what neither reads is one line."""
    bands = np.random.default_rng(0).integers(0, 256, (4, 6, 4), dtype=np.uint8)
    Image.fromarray(bands).save(tmp_path / "a.tif", compression="tiff_lzw")
    assert np.array_equal(read_image(tmp_path / "a.tif", Reading(4)), bands)
    (tmp_path / "b.tif").write_text("no image")
    with pytest.raises(InputError, match=r"b.tif: not a readable image"):
        read_image(tmp_path / "b.tif", Reading(5))


def test_what_is_shown_is_rgb() -> None:
    for channels in (1, 2, 3, 5):
        image = np.random.default_rng(0).integers(0, 256, (4, 6, channels), dtype=np.uint8)
        assert shown(image).shape == (4, 6, 3)


def _discs(folder: Path, channels: int) -> Path:
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64]
    for number in range(6):
        row, column = generator.integers(20, 44, 2)
        disc = (rows - row) ** 2 + (columns - column) ** 2 < 12**2
        bands = np.stack([np.where(disc, 200 - 9 * k, 40) for k in range(channels)], axis=2).astype(np.uint8)
        for kind in ("images", "masks"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        written = (bands[..., 0], None) if channels == 1 else (bands, "contig")
        tifffile.imwrite(folder / f"images/{number}.tif", written[0], photometric="minisblack", planarconfig=written[1])
        Image.fromarray(disc.astype(np.uint8)).save(folder / f"masks/{number}.png")
    return folder


@pytest.mark.parametrize("channels", [pytest.param(1, marks=pytest.mark.slow), 5])
def test_a_run_of_other_channels(channels: int, tmp_path: Path) -> None:
    """It trains from a checkpoint of three, whose stem is adapted, and evaluates and predicts."""
    from safetensors.torch import save_file

    weights = tmp_path / "resnet18.safetensors"
    torch.manual_seed(0)
    save_file(create_backbone("resnet18").state_dict(), weights)
    data = _discs(tmp_path / "data", channels)
    flags = (
        f"--task segmentation --data {data} --backbone resnet18 --backbone.in-channels {channels} --weights {weights}"
    )
    flags += f" --head.decoder-channels 8 8 8 --image-size 64 --epochs 1 --output {tmp_path / 'run'}"
    assert train(flags.split()) == 0
    model = json.loads((tmp_path / "run/best/model.json").read_text())
    assert (model["backbone"]["in_channels"], len(model["mean"])) == (channels, channels)
    state = load_file(tmp_path / "run/best/model.safetensors")
    (stem,) = (tensor for key, tensor in state.items() if key.endswith("conv1.weight") and tensor.shape[-1] == 7)
    assert stem.shape[1] == channels
    assert evaluate([str(tmp_path / "run"), "--split", "val"]) == 0
    assert predict([str(tmp_path / "run"), str(data / "images"), "--output", str(tmp_path / "out")]) == 0
    with Image.open(tmp_path / "out/0.jpg") as image:
        assert image.mode == "RGB"
    predictor = load_predictor(tmp_path / "run")
    array = read_image(data / "images/0.tif", Reading(channels))
    assert (predictor(data / "images/0.tif") == predictor(array)).all()
    with pytest.raises(InputError, match="channels"):
        predictor(np.zeros((64, 64, 7), np.uint8))


def test_the_doctor_of_other_channels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = f"--task segmentation --data {_discs(tmp_path / 'data', 5)} --image-size 64 --output {tmp_path / 'page'}"
    assert doctor(flags.split()) == 1
    assert "images of other channels than the backbone takes" in capsys.readouterr().out
    assert doctor([*flags.split(), "--in-channels", "5", "--show-augmentations", "2"]) == 0
    assert "a training would run" in capsys.readouterr().out
    assert (tmp_path / "page/augmentations.jpg").is_file()


def test_images_of_other_channels_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = _discs(tmp_path / "data", 5)
    flags = (
        f"--task segmentation --data {data} --backbone resnet18 --backbone.in-channels 4 --output {tmp_path / 'run'}"
    )
    assert train([*flags.split(), "--image-size", "64"]) == 2
    assert "5, the backbone takes 4 channels; data for another --backbone.in-channels?" in capsys.readouterr().err
