"""What Hydra calls for each job, in this process or in one that a launcher starts."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from chmed_ner.backbone import ZeroShot
from chmed_ner.cli import keep_secrets
from chmed_ner.cli.hydra_files import described, hydra_config
from chmed_ner.cli.reports import Report
from chmed_ner.errors import ChmedError, EstimateOnly, InputError, Stopped
from chmed_ner.files import read_json, write_json
from chmed_ner.knobs import TRUSTED
from chmed_ner.machine import take_share
from chmed_ner.methods import assist, assisted, assists, check_processes
from chmed_ner.run import (
    METRICS_FILE,
    Claim,
    ClaimState,
    Experiment,
    cell_command,
    cell_name,
    claimed,
    configure,
    leave_to_other_cells,
    mark_killed,
    register_config,
    sweep_of,
    warn_of_place,
)
from chmed_ner.track import (
    OBJECTIVE,
    RUN_FILE,
    RunRecord,
    best,
    failure_reason,
    find_run,
    git_commit,
    shaped,
)

log = logging.getLogger(__name__)


class Job:
    """Runs one configuration; its copy in another process writes its reports into `journal`."""

    def __init__(self, words: Sequence[str], journal: Path) -> None:
        self.words = list(words)
        self.journal = journal
        self.reports: list[Report] = []
        self.away = False

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy for another process, where our resolvers must be made known first."""
        return _job_elsewhere, (self.words, str(self.journal), TRUSTED.get())

    def __call__(self, config: DictConfig) -> float | None:
        """The run's validation F1, None if it has none. The report is kept even when it fails."""
        settings: DictConfig = hydra_config().hydra
        number = settings.job.num if settings.mode == RunMode.MULTIRUN else 0
        report = Report(int(number), str(config.name or "run"))
        try:
            if settings.mode == RunMode.MULTIRUN:
                # Hydra's copy of a sweep's configuration; it may hold credentials
                Path(settings.sweep.dir, "multirun.yaml").unlink(missing_ok=True)
                launcher = OmegaConf.to_container(settings.launcher)
                assert isinstance(launcher, dict)
                take_share({str(k): v for k, v in launcher.items()}, report.number, os.environ)
            varied = self._varied(settings)
            cell_of: Mapping[str, str] = {}
            if settings.mode == RunMode.MULTIRUN:
                cell_of = sweep_of(self.words, varied, settings.runtime.choices)
            report.name = cell_name(report.name, list(settings.overrides.task), varied, set())
            objective = _run(config, settings, varied, cell_of, report)
        except BaseException as error:
            _note(report, error)
            raise
        finally:
            if not assists():  # else the first process has the report
                self.reports.append(report)
                if self.away:
                    write_json(self.journal / f"{report.number}.json", asdict(report))
        return objective

    def all_reports(self) -> list[Report]:
        """The reports of all jobs, in order, of other processes too."""
        left = [Report(**read_json(path)) for path in self.journal.glob("*.json")]
        return sorted([*self.reports, *left], key=lambda report: report.number)

    def _varied(self, settings: DictConfig) -> set[str]:
        """The keys that the sweep varies: on the command line, and in a named grid."""
        if settings.mode != RunMode.MULTIRUN:
            return set()
        grid = settings.sweeper.get("params") or {}
        words = [word for word in self.words if "=" in word and not word.startswith("-")]
        parser = OverridesParser.create()
        given = parser.parse_overrides([*words, *(f"{key}={grid[key]}" for key in grid)])
        return {each.key_or_group for each in given if each.is_sweep_override()}


def _job_elsewhere(words: list[str], journal: str, trusted: tuple[str, ...]) -> Job:
    register_config()
    TRUSTED.set(trusted)
    keep_secrets(words)
    job = Job(words, Path(journal))
    job.away = True
    return job


def _run(
    config: DictConfig,
    settings: DictConfig,
    varied: set[str],
    cell_of: Mapping[str, str],
    report: Report,
) -> float | None:
    """Claim the run's directory, and run what is not there already."""
    sweep = settings.mode == RunMode.MULTIRUN
    if sweep and config.resume is not None:
        raise InputError(
            "resume: a multirun cannot be resumed; the same command again does what is missing"
        )
    choices = dict(settings.runtime.choices)
    if varied & {"method", "preset"}:
        varied -= leave_to_other_cells(config, choices)
    experiment = configure(config, choices)
    report.language = experiment.language
    report.zero_shot = isinstance(experiment.parts.get("regime"), ZeroShot)
    overrides = list(settings.overrides.task)
    named = {"dataset", "seed", *experiment.method.named_by} if config.name is None else set()
    report.name = cell_name(experiment.name, overrides, varied, named)
    again = cell_command(overrides, choices)
    experiment = replace(experiment, name=report.name, command=again, sweep=cell_of)
    if "direction" in settings.sweeper and not experiment.trains:
        raise InputError(
            f"hydra/sweeper: there is no {OBJECTIVE} to optimise: nothing is tuned here; choose a "
            "regime that trains, such as regime=lora"
        )
    check_processes(experiment, sweep=sweep)
    if assists():
        assist(experiment)
        return None
    place = Path(settings.runtime.output_dir)
    if config.resume is not None:
        place = find_run(str(config.resume), key="resume", output=experiment.output)
        warn_of_place(place, experiment.output)
    mark_killed(experiment.output, experiment.tracking)
    identity = experiment.identity(experiment.load())
    once = sweep and not config.rerun
    with claimed(experiment, identity, place, once=once) as claim:
        if claim.lock is not None:
            report.directory = str(claim.directory)
            with described(claim.directory, config, settings), assisted():
                report.metrics = _do(experiment, claim, identity if sweep else "")
            report.state = "done"
        else:
            _leave_out(claim, report)
    found = best(claim.directory, OBJECTIVE) if report.state != "running" else None
    report.directory = str(claim.directory)  # not before: see _note
    return found


def _note(report: Report, error: BaseException) -> None:
    """Report how a job failed; log it where no `run.log` was open."""
    report.state = "stopped" if isinstance(error, Stopped | KeyboardInterrupt) else "failed"
    report.state = "estimated" if isinstance(error, EstimateOnly) else report.state
    interrupted = isinstance(error, KeyboardInterrupt)
    report.error = "interrupted" if interrupted else str(error) or type(error).__name__
    report.code = error.exit_code if isinstance(error, ChmedError) else 1
    if not report.directory and isinstance(error, Exception):
        _log_failure(error)


def _do(experiment: Experiment, claim: Claim, identity: str) -> dict[str, float]:
    """Run it; an error goes into `run.log`, and into the record of a sweep's cell."""
    from chmed_ner.run import new_record, run

    if claim.state is ClaimState.UNFINISHED:
        log.info("taken up again: %s", claim.directory)
        _warn_of_commit(claim.directory)
        experiment = replace(experiment, resume=True)
    try:
        return run(experiment, claim.directory)
    except Exception as error:
        _log_failure(error)
        if identity and not (claim.directory / RUN_FILE).is_file():  # refused before it began
            record = new_record(experiment, identity, status="FAILED", error=failure_reason(error))
            record.write(claim.directory)
        raise


def _log_failure(error: Exception) -> None:
    if isinstance(error, EstimateOnly):
        log.info("%s", error)
    elif isinstance(error, ChmedError | OSError):
        log.error("error: %s", error)
    else:
        log.error("the run failed; what was finished is kept", exc_info=error)


def _leave_out(claim: Claim, report: Report) -> None:
    """Report a cell that is done, or that another process is at."""
    if claim.state is ClaimState.BUSY:
        report.state = "running"
        log.info("another process is at it: %s", claim.directory)
        return
    report.state = "skipped"
    path = claim.directory / METRICS_FILE
    written = {**asdict(report), "metrics": read_json(path)}
    report.metrics = shaped(Report, written, f"{path}: not the metrics of a run").metrics
    log.info("done already: %s (rerun=true runs it again)", claim.directory)
    _warn_of_commit(claim.directory)


def _warn_of_commit(directory: Path) -> None:
    if not (directory / RUN_FILE).is_file():
        return
    then, now = RunRecord.read(directory).git_commit, git_commit()
    if then and then != now:
        log.warning("%s: begun with commit %s, now it is %s", directory.name, then, now)
