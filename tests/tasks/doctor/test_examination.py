"""The doctor finds what was planted, and nothing else; a training meets it with one line."""

import json
from pathlib import Path

import pytest

from backbones.errors import InputError
from tasks.config import Annotations, DataSettings
from tasks.data.findings import CHECKS
from tasks.data.formats.opening import open_data
from tasks.detection.transforms import DetectionTransform
from tasks.doctor import examine
from tasks.doctor.fixing import fix
from tests.heads import data_for
from tests.tasks.doctor.clean import CLEAN, SPLITS, clean_coco, noise
from tests.tasks.doctor.planted import PLANTED, TRAIN, annotations_of, edit, first_object, in_text, one_more
from tests.writers import write_voc


@pytest.mark.parametrize("form", CLEAN)
def test_nothing_is_found_in_clean_data(tmp_path: Path, form: str) -> None:
    settings = data_for(annotations_of(form), image_size=64, path=str(CLEAN[form](tmp_path / "data")))
    found = examine(settings, annotations_of(form))
    assert found.groups == ()
    assert not found.fails
    assert all((values > 0).all() for values in found.counts.values())


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found_and_nothing_else(tmp_path: Path, what: str) -> None:
    form, plant, expected = PLANTED[what]
    folder = CLEAN[form](tmp_path / "data")
    plant(folder)
    annotations = annotations_of(form)
    settings = data_for(annotations, image_size=64, path=str(folder))
    found = examine(settings, annotations)
    assert {group.name for group in found.groups} == expected
    assert found.fails == any(CHECKS[name].level == "error" for name in expected)
    for group in found.groups:
        assert all("\n" not in finding.message for finding in group.findings)
    if not found.fails:
        _train_on(settings, annotations)
        return
    with pytest.raises(InputError) as caught:
        _train_on(settings, annotations)
    assert str(caught.value) in {finding.message for group in found.groups for finding in group.findings}


def _train_on(settings: DataSettings, annotations: Annotations) -> None:
    """Read everything as a training would; masks and polygons are met when they are read."""
    for sample in open_data(settings, annotations).splits["train"]:
        if annotations == "masks":
            sample.mask.labels()
        elif annotations == "labels":
            sample.read()
        else:
            DetectionTransform(64, masks=annotations == "polygons")(sample, 0)


def test_every_check_is_planted() -> None:
    of_several_folders = {"class-partial"}  # tests/tasks/data/dataset/test_merging.py
    assert {name for _, _, expected in PLANTED.values() for name in expected} == set(CHECKS) - of_several_folders


def test_all_at_once_are_all_found(tmp_path: Path) -> None:
    """One defect does not hide another."""
    folder = clean_coco(tmp_path / "data")
    together = [
        "an annotation of no image",
        "a coordinate NaN",
        "a box of no width",
        "a box elsewhere",
        "an annotation of no category",
        "an image of train in val",
        "a class that val has none of",
    ]
    (folder / "train/t3.jpg").unlink()
    (folder / "train/t4.jpg").write_text("no image")
    for what in together[:1] + together[2:4] + together[5:]:
        PLANTED[what][1](folder)
    edit("train", lambda content: content["annotations"][5].update(category_id=99))(folder)
    first_object(bbox=[float("nan"), 6, 26, 34])(folder)
    found = {group.name for group in examine(data_for(image_size=64, path=str(folder))).groups}
    expected = {name for what in together for name in PLANTED[what][2]}
    assert found == expected | {"image-missing", "image-unreadable"}


def test_fix_keeps_two_objects_of_one_box(tmp_path: Path) -> None:
    """A triangle and a rectangle: only their polygons differ."""
    folder = clean_coco(tmp_path / "data")
    one_more(bbox=[4, 6, 26, 34], segmentation=[[4, 6, 30, 40, 4, 40]])(folder)
    one_more(bbox=[5, 5, 0, 20])(folder)
    found = examine(data_for(image_size=64, path=str(folder)))
    findings = [finding for group in found.groups for finding in group.findings]
    assert {finding.check for finding in findings} == {"box-twice", "box-no-area"}
    (mended,) = (one.file for one in fix(findings, [folder], tmp_path / "mended"))
    assert len(json.loads(mended.read_text())["annotations"]) == 49


def test_fix_of_several_folders_some_behind_links(tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder = write_voc(tmp_path / "store" / name, SPLITS)
        in_text("Annotations/t0.xml", "<xmax>30", "<xmax>2")(folder)
        for number, image in enumerate(sorted((folder / "JPEGImages").iterdir())):
            noise(seed=number + 100 * (name == "a")).save(image)
    (tmp_path / "b").symlink_to(tmp_path / "store/b")
    folders = [tmp_path / "store/a", tmp_path / "b"]
    settings = data_for(image_size=64, path=str(folders[0]), also=(str(folders[1]),))
    groups = examine(settings).groups
    assert [group.name for group in groups] == ["box-no-area"]
    written = [one.file for one in fix(groups[0].findings, folders, tmp_path / "mended")]
    assert written == [tmp_path / f"mended/{name}/Annotations/t0.xml" for name in ("a", "b")]


@pytest.mark.parametrize("form", ["coco", "voc", "yolo"])
def test_fix_writes_new_files_without_the_defects(tmp_path: Path, form: str) -> None:
    folder = CLEAN[form](tmp_path / "data")
    if form == "coco":
        plants = ["a box of no width", "a box twice", "an annotation of no image", "an annotation id 0"]
        for what in plants:
            PLANTED[what][1](folder)
        changed = TRAIN
    elif form == "voc":
        changed = "Annotations/t0.xml"
        in_text(changed, "<xmin>4<", "<xmin>60<")(folder)
    else:
        changed = "labels/train/t0.txt"
        file = folder / changed
        file.write_text("\n" + file.read_text() + file.read_text().splitlines()[0] + "\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    settings = data_for(image_size=64, path=str(folder))
    found = examine(settings)
    assert found.groups
    findings = [finding for group in found.groups for finding in group.findings]
    written = [one.file for one in fix(findings, [folder], tmp_path / "mended")]
    assert written == [tmp_path / "mended" / changed]
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="exists already"):
        fix(findings, [folder], tmp_path / "mended")
    (folder / changed).write_bytes(written[0].read_bytes())
    again = examine(settings)
    assert again.groups == ()
    assert again.counts["train"].sum() == 48


def test_fix_puts_swapped_corners_right_and_says_what_it_removes(tmp_path: Path) -> None:
    folder = CLEAN["voc"](tmp_path / "data")
    in_text("Annotations/t0.xml", "<xmax>30", "<xmax>2")(folder)
    findings = [one for group in examine(data_for(image_size=64, path=str(folder))).groups for one in group.findings]
    (done,) = fix(findings, [folder], tmp_path / "mended")
    assert str(done).endswith("t0.xml: 1 boxes with swapped corners put right")
    (folder / "Annotations/t0.xml").write_bytes(done.file.read_bytes())
    boxes = open_data(data_for(path=str(folder))).splits["train"][0].boxes
    assert boxes[0].tolist() == [2, 6, 4, 40]


def test_fix_of_labels_that_lie_elsewhere(tmp_path: Path) -> None:
    """The folder of data.yaml holds neither the images nor the labels."""
    folder = CLEAN["yolo"](tmp_path / "data")
    labels = folder / "labels/train/t0.txt"
    labels.write_text(labels.read_text() * 2)
    (tmp_path / "apart").mkdir()
    content = json.loads((folder / "data.yaml").read_text())
    content |= {split: str(folder / "images" / split) for split in ("train", "val")}
    (tmp_path / "apart/data.yaml").write_text(json.dumps(content))
    found = examine(data_for(image_size=64, path=str(tmp_path / "apart")))
    findings = [one for group in found.groups for one in group.findings]
    (done,) = fix(findings, [tmp_path / "apart"], tmp_path / "mended")
    assert len(done.file.read_text().splitlines()) == 4
    assert "4 objects annotated twice removed" in str(done)
