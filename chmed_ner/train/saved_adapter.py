"""`regime=adapter`: score a saved adapter without training."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from chmed_ner.backbone.protocol import Backbone, Generator
from chmed_ner.errors import InputError
from chmed_ner.files import sha256_of
from chmed_ner.records import RunRecord, find_run
from chmed_ner.train.adapter import WEIGHTS
from chmed_ner.train.regimes import Task, merged_generator


class SavedAdapter:
    """The adapter of the run `path`, on the backbone it was trained on.

    Refused where a file it was trained on is a test file: such a score would say nothing.
    """

    name = "adapter"
    trains = False

    def __init__(self, path: str) -> None:
        self.path = path

    def source(self) -> tuple[Path, RunRecord]:
        """The directory and record of the run that the adapter comes from."""
        directory = find_run(self.path, key="regime.path")
        return directory, RunRecord.read(directory)

    def check(self, backbone: Backbone, test_files: Mapping[str, str]) -> None:
        """InputError when the adapter is absent, of another backbone, or has seen the test set."""
        directory, record = self.source()
        if not (directory / "adapter" / WEIGHTS).is_file():
            raise InputError(
                f"regime.path={self.path}: {directory} holds no adapter/; name a tuned run"
            )
        if record.backbone_sha256 != backbone.checksum():
            raise InputError(
                f"regime.path={self.path}: its adapter was trained on another backbone "
                f"({record.backbone}, checksum {record.backbone_sha256[:12]}) than "
                f"backbone={backbone.name} ({backbone.checksum()[:12]}); choose that backbone"
            )
        seen = set(record.training_files.values()) & set(test_files.values())
        if seen:
            names = sorted(name for name, digest in test_files.items() if digest in seen)
            raise InputError(
                f"regime.path={self.path}: its adapter was trained on {', '.join(names)}, which "
                "this dataset tests on; score it on another dataset, or train one without that file"
            )

    def tuned_on(self, training_files: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002
        """The files that the adapter's own run was tuned on, not those of this run's dataset."""
        return self.source()[1].training_files

    def inputs(self) -> dict[str, str]:
        """The adapter's checksum: `latest` names another one tomorrow."""
        directory, _ = self.source()
        weights = directory / "adapter" / WEIGHTS
        return {"adapter": sha256_of(weights)} if weights.is_file() else {}

    def prepare(self, backbone: Backbone, task: Task) -> Generator:
        """The backbone with the adapter merged; the run keeps a copy of the adapter."""
        kept = task.directory / "adapter"
        if not (kept / WEIGHTS).is_file():
            partial = kept.with_name("adapter.partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(self.source()[0] / "adapter", partial)
            partial.replace(kept)
        return self.reopen(backbone, task.directory, task.stop)

    def reopen(self, backbone: Backbone, directory: Path, stop: Sequence[str]) -> Generator:
        """The generator of a finished run in `directory`: its adapter merged."""
        return merged_generator(backbone.tunable(), directory / "adapter", stop)
