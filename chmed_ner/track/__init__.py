"""Where runs are recorded: MLflow, or nowhere but in their own directories."""

from chmed_ner.track.mlflow_runs import MLflowTracking
from chmed_ner.track.store import TrackedRun, TrackedRuns
from chmed_ner.track.tracker import Description, Tracker, Tracking, best
from chmed_ner.track.upload import Synced, sync

__all__ = [
    "Description", "MLflowTracking", "Synced", "TrackedRun", "TrackedRuns",
    "Tracker", "Tracking",
    "best", "sync",
]  # fmt: skip
