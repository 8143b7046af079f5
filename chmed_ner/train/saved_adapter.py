"""`regime=adapter`: score what another run has tuned, without training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from chmed_ner.backbone.protocol import Backbone, Regime, Task, noted
from chmed_ner.errors import InputError
from chmed_ner.files import sha256_of
from chmed_ner.knobs import NAMES_RUN
from chmed_ner.model.asking import Generator
from chmed_ner.track.record import RunRecord, find_run
from chmed_ner.train.tuned_weights import share_folder, tuned_folder, tuned_generator


@dataclass(frozen=True, kw_only=True)
class SavedAdapter(Regime):
    """The adapter of the run `path`, on the backbone it was trained on; or its fully tuned model.

    Refused where a file it was trained on is a test file: such a score would say nothing.
    """

    name = "adapter"

    path: Annotated[str, NAMES_RUN]

    def source(self) -> tuple[Path, RunRecord]:
        """The directory and record of the run that the adapter comes from."""
        directory = find_run(self.path, key="regime.path")
        return directory, RunRecord.read(directory)

    def inherited(self, name: str) -> Path:
        """The run's file or folder `name`, whether it is there or not."""
        return self.source()[0] / name

    def check(self, backbone: Backbone, test_files: Mapping[str, str]) -> None:
        """InputError when the adapter is absent, of another backbone, or has seen the test set."""
        directory, record = self.source()
        if tuned_folder(directory) is None:
            raise InputError(
                f"regime.path={self.path}: {directory} holds no adapter/ and no model/; name a "
                "tuned run"
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
        """The checksums of the tuned weights: `latest` names others tomorrow."""
        folder = tuned_folder(self.source()[0])
        files = sorted(folder.glob("*.safetensors")) if folder else []
        return {f"{file.parent.name}/{file.name}": sha256_of(file) for file in files}

    def prepare(self, backbone: Backbone, task: Task) -> Generator:
        """The backbone with the tuned weights, which the run keeps as a link."""
        if tuned_folder(task.directory) is None:
            folder = tuned_folder(self.source()[0])
            assert folder is not None, "checked before"
            share_folder(folder, task.directory / folder.name)
        return noted(self.reopen(backbone, task.directory, task.stop), task)

    def reopen(self, backbone: Backbone, directory: Path, stop: Sequence[str]) -> Generator:
        """The generator of a finished run in `directory`: its adapter on the backbone."""
        return tuned_generator(backbone.tunable(), directory, stop)
