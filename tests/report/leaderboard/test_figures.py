"""The figures of a board: drawn where there are data, else left out with a reason."""

from io import BytesIO

from PIL import Image

from chmed_ner.report.leaderboard.entries import ScoredRun
from chmed_ner.report.leaderboard.figures import board_figures
from chmed_ner.report.leaderboard.rows import boards
from chmed_ner.track import TrackedRun

LENGTHS = "genre,length,gold,predicted,correct,precision,recall,f1\nall,1–20,5,5,4,80,80,80\n"
CONFUSION = "genre,gold,predicted,kind,entities\nall,DISE,BODY,type,3\nall,,BODY,spurious,1\n"


def run(number: int, f1: float, *, size: str = "None", speed: float = 0.0) -> ScoredRun:
    tags = {
        "backbone": "big", "method": "generative", "regime": "lora", "prompt": "extraction",
        "dataset": "two", "seed": "1", "partial": str(size != "None").lower(),
    }  # fmt: skip
    metrics = {"test/f1": f1, "test/WA/f1": f1, "test/WA/DISE/f1": f1}
    if speed:
        metrics["time/sentences_per_second"] = speed
    params = {"limit.train": size, "limit.test": "None"}
    tracked = TrackedRun(
        f"id{number}", f"n{number}", "e", "FINISHED", number, tags, params, metrics
    )
    return ScoredRun(tracked, {"train": "a"}, {"gold": "b"}, config=params)


def test_every_figure_that_has_data() -> None:
    runs = [run(1, 40, size="100"), run(2, 50, size="1000"), run(3, 60, speed=12.5)]
    (board,), _ = boards(runs)
    texts = {"analysis/f1_by_sentence_length.csv": LENGTHS, "analysis/confusion.csv": CONFUSION}
    drawn = board_figures(board.without_partial(), board.rows, lambda _, path: texts.get(path))
    assert set(drawn.pictures) == {
        "confusion", "f1_by_sentence_length", "f1_by_type", "learning_curve", "speed_and_f1",
    }  # fmt: skip
    assert drawn.left_out == ["各文類的 F1: 只有一種文類"]
    assert drawn.best == "n3 (id3)"
    for picture in drawn.pictures.values():
        assert Image.open(BytesIO(picture["png"])).height > 300
    assert (
        board_figures(board.without_partial(), board.rows, lambda _, path: texts.get(path)) == drawn
    )


def test_what_is_left_out_is_said() -> None:
    (board,), _ = boards([run(1, 40, size="100"), run(3, 60)])
    drawn = board_figures(board.without_partial(), board.rows, lambda *_: None)
    assert set(drawn.pictures) == {"f1_by_type"}
    assert [reason.partition(":")[0] for reason in drawn.left_out] == [
        "各文類的 F1", "F1 與句長", "學習曲線", "類型混淆", "速度與 F1",
    ]  # fmt: skip
