"""What other rooms use of `track`."""

from .copied import ARTIFACTS as ARTIFACTS, moved as moved
from .finding import find_run as find_run, records_in as records_in
from .mlflow_runs import MLflowTracking as MLflowTracking
from .record import (
    RUN_FILE as RUN_FILE,
    RunRecord as RunRecord,
    check_same_run as check_same_run,
    config_hash as config_hash,
    failure_reason as failure_reason,
    git_commit as git_commit,
    neutral_keys as neutral_keys,
    note_counts as note_counts,
    note_tuned as note_tuned,
    version as version,
    versions as versions,
    without_credentials as without_credentials,
)
from .shape import shaped as shaped
from .store import (
    Away as Away,
    Store as Store,
    TrackedRun as TrackedRun,
    TrackedRuns as TrackedRuns,
    quiet_mlflow as quiet_mlflow,
)
from .tracker import (
    Description as Description,
    Tracker as Tracker,
    Tracking as Tracking,
    best as best,
)
from .upload import Synced as Synced, sync as sync
