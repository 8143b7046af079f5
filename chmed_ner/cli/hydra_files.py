"""What a job writes into its run's directory besides the run: `.hydra/` and `run.log`."""

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from chmed_ner.errors import Clean, without_secrets


def hydra_config() -> DictConfig:
    """Hydra's own configuration of this job, under the key `hydra`."""
    config = HydraConfig.instance().cfg
    assert isinstance(config, DictConfig)
    return config


@contextmanager
def described(directory: Path, config: DictConfig, settings: DictConfig) -> Iterator[None]:
    """Write `.hydra/`, and everything that is logged during the block into `run.log`."""
    folder = directory / ".hydra"
    folder.mkdir(exist_ok=True)
    hydra = copy.deepcopy(hydra_config())
    with read_write(hydra.hydra), open_dict(hydra.hydra):
        hydra.hydra.runtime.output_dir = str(directory)
    for name, content in (
        ("config", config),
        ("hydra", hydra),
        ("overrides", settings.overrides.task),
    ):
        text = without_secrets(OmegaConf.to_yaml(content))
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    stream = (directory / "run.log").open("a", encoding="utf-8")
    handler = logging.StreamHandler(Clean(stream, without_secrets))
    handler.setFormatter(logging.Formatter("[%(asctime)s][%(levelname)s] %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        stream.close()
