"""What other rooms use of `track`."""

from .copied import ARTIFACTS as ARTIFACTS, moved as moved
from .described import (
    Description as Description,
    description as description,
)
from .finding import (
    OBJECTIVE as OBJECTIVE,
    find_run as find_run,
    finished_in as finished_in,
    records_in as records_in,
)
from .mlflow_runs import MLflowTracking as MLflowTracking
from .models import EXTERNAL as EXTERNAL, model_of as model_of
from .record import (
    RUN_FILE as RUN_FILE,
    RunRecord as RunRecord,
    check_same_run as check_same_run,
    config_hash as config_hash,
    failure_reason as failure_reason,
    flattened as flattened,
    git_commit as git_commit,
    neutral_keys as neutral_keys,
    note_counts as note_counts,
    note_tuned as note_tuned,
    version as version,
    versions as versions,
)
from .shape import shaped as shaped
from .store import VIEW as VIEW, Away as Away, Store as Store, quiet_mlflow as quiet_mlflow
from .tracked import TrackedRun as TrackedRun, TrackedRuns as TrackedRuns
from .tracker import (
    Tracker as Tracker,
    Tracking as Tracking,
    best as best,
)
from .trust import check_address as check_address, check_store as check_store
from .upload import sync as sync
