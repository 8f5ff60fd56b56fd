"""Images of more than 8 bits: one policy by range, found in train and kept with the model."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks import load_predictor
from tasks.commands.evaluate import main as evaluate
from tasks.commands.train import main as train
from tasks.config import SegmentationData, SettingsError
from tasks.data import Intensity, Reading, found_range, read_image


def _saved(folder: Path, *values: float, dtype: type, suffix: str = ".tif") -> Path:
    path = folder / f"{len(list(folder.iterdir()))}{suffix}"
    Image.fromarray(np.array([values], dtype)).save(path)
    return path


@pytest.mark.parametrize(
    ("values", "dtype", "setting", "levels"),
    [
        ([0, 32768, 65535], np.uint16, "full", [0, 128, 255]),
        ([0, 2048, 4095], np.uint16, "full", [0, 8, 16]),
        ([0, 2048, 4095], np.uint16, "0,4095", [0, 128, 255]),
        ([-5, 100, 9999], np.int32, "0,200", [0, 128, 255]),
        ([0, 0.5, 1], np.float32, "full", [0, 128, 255]),
        ([-1000, 0, 1000], np.float32, "-1000,1000", [0, 128, 255]),
        ([np.nan, 5, 10], np.float32, "0,10", [0, 128, 255]),
        ([7, 7, 7], np.uint16, "percentile", [0, 0, 0]),
        ([0, 10, 20], np.uint8, "0,4095", [0, 10, 20]),
    ],
)
def test_levels(values: list[float], dtype: type, setting: str, levels: list[int], tmp_path: Path) -> None:
    image = read_image(_saved(tmp_path, *values, dtype=dtype), Reading(intensity=Intensity.of(setting)))
    assert image.dtype == np.uint8
    assert image[0, :, 0].tolist() == levels
    assert (image == image[..., :1]).all()


def test_percentiles_leave_out_a_hot_pixel() -> None:
    values = np.arange(10_000, dtype=np.uint16)
    values[-1] = 65535
    levels = Intensity.of("percentile").levels(values)
    assert abs(int(levels[5000]) - 128) <= 1


@given(st.lists(st.integers(0, 65535), min_size=2, max_size=50))
def test_levels_keep_the_order(values: list[int]) -> None:
    for setting in ("full", "percentile", "10,60000"):
        levels = Intensity.of(setting).levels(np.array(sorted(values), np.uint16))
        assert (np.diff(levels.astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("images", "found"),
    [
        ([([0, 4000], np.uint16), ([0, 100], np.uint16)], "0,4095"),
        ([([0, 1023], np.uint16)], "0,1023"),
        ([([0, 65535], np.uint16)], "0,65535"),
        ([([0, 100], np.uint16)], "0,255"),
        ([([0, 100_000], np.int32)], "0,131071"),
        ([([0, 0.9], np.float32)], "0,1"),
        ([([-3, 900], np.float32)], "-3,900"),
        ([([0, 200], np.uint8)], None),
        ([([0, 200], np.uint8)] * 70 + [([0, 4000], np.uint16)], "0,4095"),
        ([([0, 1000], np.uint16)] * 70 + [([0, 4000], np.uint16)] * 70, "0,4095"),
        ([([5, 5], np.float32)], None),
        ([([0, *[4000] * 20000, 65535], np.uint16)], "0,4095"),
    ],
)
def test_the_range_that_is_found(images: list[tuple[list[float], type]], found: str | None, tmp_path: Path) -> None:
    samples = [SimpleNamespace(file=_saved(tmp_path, *values, dtype=dtype)) for values, dtype in images]
    assert found_range(samples) == found


@pytest.mark.parametrize("value", ["all", "5,1", "1", "0,inf", "0,nan", "1,2,3"])
def test_what_is_no_policy_is_refused(value: str) -> None:
    with pytest.raises((SettingsError, ValueError), match=r"data.intensity: .* is neither auto, full, perc"):
        SegmentationData(intensity=value)


def _discs(folder: Path, scale: int) -> Path:
    """A bright disc in each image; as 12 bits where the scale is 16."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64]
    for number in range(6):
        row, column = generator.integers(20, 44, 2)
        disc = (rows - row) ** 2 + (columns - column) ** 2 < 12**2
        image = np.where(disc, 200, 40) + generator.integers(0, 30, (64, 64))
        for kind, pixels in (("images", (image * scale).astype(np.uint16 if scale > 1 else np.uint8)), ("masks", disc)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels if kind == "images" else pixels.astype(np.uint8)).save(
                folder / kind / f"{number}.png"
            )
    return folder


def test_a_range_is_kept_with_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Images of 12 bits train, evaluate and predict as they do in 8."""
    flags = "--task segmentation --backbone resnet18 --head.decoder-channels 8 8 8 --image-size 64 --epochs 1"
    found = {}
    for name, scale in (("deep", 16), ("plain", 1)):
        data = _discs(tmp_path / name, scale)
        assert train([*flags.split(), "--data", str(data), "--output", str(tmp_path / f"run_{name}")]) == 0
        printed = capsys.readouterr().out
        assert ("levels from 0 to 4095 become 0 to 255 (data.intensity 0,4095)" in printed) == (name == "deep")
        found[name] = json.loads((tmp_path / f"run_{name}/run.json").read_text())["metrics"]
    assert found["deep"]["mIoU"] == pytest.approx(found["plain"]["mIoU"], abs=0.02)
    assert json.loads((tmp_path / "run_deep/best/model.json").read_text())["intensity"] == "0,4095"
    assert evaluate([str(tmp_path / "run_deep"), "--split", "val"]) == 0
    predictor = load_predictor(tmp_path / "run_deep")
    image = tmp_path / "deep/images/0.png"
    from_array = predictor(np.asarray(Image.open(image)).astype(np.uint16))
    assert (predictor(image) == from_array).all()
    assert (predictor(read_image(image, Reading(intensity=Intensity.of("0,4095")))) == from_array).all()
