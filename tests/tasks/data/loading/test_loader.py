"""Every image once an epoch; the same batches for any number of workers and from any batch on."""

from pathlib import Path

import pytest
import torch

from backbones import InputError
from tasks.data.formats.shapes import shapes_data
from tasks.data.loading.batch import Batch
from tasks.data.loading.loader import Loader
from tasks.detection.transforms import DetectionTransform
from tests.writers import make_samples, save_image


def _loader(workers: int = 0, seed: int = 0) -> Loader:
    samples = shapes_data(10, 64).splits["train"]
    transform = DetectionTransform(64, "light")
    return Loader(samples, transform, batch_size=4, workers=workers, seed=seed, shuffle=True)


def _same(one: list[Batch], two: list[Batch]) -> bool:
    return len(one) == len(two) and all(
        a.indices == b.indices
        and all(torch.equal(x, y) for x, y in zip(a.images, b.images, strict=True))
        and all(torch.equal(x["boxes"], y["boxes"]) for x, y in zip(a.targets, b.targets, strict=True))
        for a, b in zip(one, two, strict=True)
    )


def test_every_image_once_an_epoch_in_another_order() -> None:
    loader = _loader()
    epochs = [[index for batch in loader.batches(epoch) for index in batch.indices] for epoch in range(3)]
    assert all(sorted(order) == list(range(10)) for order in epochs)
    assert len({tuple(order) for order in epochs}) == 3
    assert len(loader) == 3


def test_workers_do_not_matter() -> None:
    alone, helped = _loader(0), _loader(2)
    for epoch in (0, 1):
        assert _same(list(alone.batches(epoch)), list(helped.batches(epoch)))
    assert not _same(list(alone.batches(0)), list(alone.batches(1)))
    assert not _same(list(alone.batches(0)), list(_loader(0, seed=1).batches(0)))


def test_an_epoch_goes_on_at_any_batch_and_draws_nothing_global() -> None:
    loader = _loader()
    state = torch.get_rng_state()
    whole = list(loader.batches(1))
    assert _same(list(loader.batches(1, first_batch=2)), whole[2:])
    assert torch.equal(torch.get_rng_state(), state)


def test_an_unreadable_image_is_one_line_from_a_worker_too(tmp_path: Path) -> None:
    (tmp_path / "0000.jpg").write_text("no image")
    samples = make_samples([], folder=tmp_path)
    for workers in (0, 1):
        with pytest.raises(InputError, match=r"0000\.jpg: not a readable image") as caught:
            list(Loader(samples, DetectionTransform(64), batch_size=1, workers=workers).batches())
        assert "\n" not in str(caught.value)


def test_an_image_of_another_size_than_its_annotation_is_found_when_it_is_read(tmp_path: Path) -> None:
    save_image(tmp_path / "0000.jpg", 64, 48)
    samples = make_samples([], folder=tmp_path, size=(48, 64))
    with pytest.raises(InputError, match=r"0000\.jpg: is 64x48 pixels .*, its annotation says 48x64"):
        list(Loader(samples, DetectionTransform(64), batch_size=1).batches())
