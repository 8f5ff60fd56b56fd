"""One policy for every kind of image file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backbones import InputError
from tasks.data import images
from tasks.data.images import image_sizes, read_image


def test_exif_orientation_is_honoured(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # displayed turned clockwise: the top left corner comes to the top right
    image.save(tmp_path / "a.png", exif=exif)
    array = read_image(tmp_path / "a.png")
    assert array.shape == (40, 20, 3)
    assert array[0, 19].tolist() == [255, 255, 255]


def test_grey_palette_alpha_and_16_bit(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    colour = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    colour.save(tmp_path / "alpha.png")
    colour.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "palette.png")
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    assert np.array_equal(read_image(tmp_path / "grey.png"), expected)
    assert np.array_equal(read_image(tmp_path / "deep.png"), expected)
    for name in ("alpha", "palette"):
        array = read_image(tmp_path / f"{name}.png")
        assert (array.dtype, array[0, 0].tolist()) == (np.uint8, [10, 20, 30])


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_file_cut_short_is_found_with_and_without_decoding(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    image_sizes(path.parent, [path.name], [(60, 60)])
    whole = path.read_bytes()
    for appendix in (b"trailing bytes of a camera", bytes(100_000)):
        path.write_bytes(whole + appendix)
        image_sizes(path.parent, [path.name], [(60, 60)])
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=rf"a\.{suffix}: not a readable image"):
        image_sizes(path.parent, [path.name], [(60, 60)])
    with pytest.raises(InputError, match=rf"a\.{suffix}: not a readable image"):
        read_image(path)


def test_absurdly_large_images_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match=r"a\.png: not a readable image \(Image size"):
        read_image(tmp_path / "a.png")


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("hello")
    with pytest.raises(InputError, match=r"a\.jpg: not a readable image"):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"b\.jpg: the image is missing"):
        read_image(tmp_path / "b.jpg")


def test_of_very_many_images_only_the_missing_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_MOST_OPENED", 2)
    names = ["a.jpg", "deep/b.jpg", "c.jpg"]
    (tmp_path / "deep").mkdir()
    for name in names:
        (tmp_path / name).write_text("not opened")
    image_sizes(tmp_path, names, [(1, 1)] * 3)
    for missing in ("deep/d.jpg", "absent/e.jpg"):
        with pytest.raises(InputError, match=rf"{missing[-5:]}: the image is missing; restore it"):
            image_sizes(tmp_path, [*names, missing], [(1, 1)] * 4)
