"""What makes two runs the same: settings, data, backbone and our version."""

from chmed_ner.run.experiment import Experiment
from chmed_ner.track.identity import config_hash


def identity_of(experiment: Experiment) -> str:
    """The config hash of an experiment; InputError for files that are absent or bad."""
    corpus = experiment.load()
    files = experiment.inputs(corpus)
    return config_hash(experiment.config, files, experiment.backbone_checksum)
