import pytest

from backbones import list_backbones
from tasks.commands.describe import main


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def test_stage_by_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resnet50", "--image-size", "224"]) == 0
    printed = capsys.readouterr().out
    for seen in ("resnet50, images of 3 x 224 x 224", "2048 x 7 x 7", "23,508,032", "4.09 G", "36.3%"):
        assert seen in printed
    assert main(["resnet50", "--in-channels", "1"]) == 0
    assert "23,501,760" in capsys.readouterr().out


@pytest.mark.slow
def test_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--all", "--image-size", "32", "--output-stride", "16"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in list_backbones())
    assert "c4 1024/16, c5 2048/16" in printed
    assert "stride 4 at its deepest" in printed  # a cifar network's line says why it has no figures


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one backbone, such as resnet50, or give --all"),
        (["resnet50", "--all"], "name one backbone"),
        (["resnet5"], "did you mean 'resnet50'"),
        (["resnet50", "--output-stride", "4"], "output_stride 4 is not possible"),
        (["timm/crossvit_9_240"], "is no pyramid"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
