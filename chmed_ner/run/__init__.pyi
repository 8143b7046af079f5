"""What other rooms use of `run`."""

from .cells import (
    METRICS_FILE as METRICS_FILE,
    Claim as Claim,
    ClaimState as ClaimState,
    claimed as claimed,
    mark_killed as mark_killed,
)
from .commands import cell_command as cell_command, command as command, sweep_of as sweep_of
from .compare import (
    COMPARED_FILES as COMPARED_FILES,
    TestedRun as TestedRun,
    compare_runs as compare_runs,
    comparison_json as comparison_json,
    read_run as read_run,
)
from .composing import (
    check_encodings as check_encodings,
    compose as compose,
    hydra_message as hydra_message,
    own_config_directory as own_config_directory,
    reader_language as reader_language,
    register_config as register_config,
)
from .confidences import (
    CALIBRATION_FILE as CALIBRATION_FILE,
    CONFIDENCES_FILE as CONFIDENCES_FILE,
    Confidences as Confidences,
)
from .config import (
    build as build,
    configure as configure,
    leave_to_other_cells as leave_to_other_cells,
    plain_config as plain_config,
)
from .experiment import (
    OPTIONAL as OPTIONAL,
    Experiment as Experiment,
    Method as Method,
    SpanModel as SpanModel,
)
from .export import log_model as log_model, save_model as save_model
from .extractors import Extractor as Extractor
from .misnamed import EXTRAS as EXTRAS, PLACES as PLACES, nearest as nearest
from .names import cell_name as cell_name
from .outcome import Findings as Findings, Outcome as Outcome, placed_outcome as placed_outcome
from .overrides import (
    check_overrides as check_overrides,
    in_each_cell as in_each_cell,
    spelled_out as spelled_out,
)
from .place import (
    at_home as at_home,
    output_of as output_of,
    own_output as own_output,
    warn_of_place as warn_of_place,
)
from .predict import extractor as extractor, load as load
from .recorded import (
    changed_choices as changed_choices,
    changed_config as changed_config,
    check_tracking as check_tracking,
    check_unchanged as check_unchanged,
    recorded_config as recorded_config,
)
from .recording import new_record as new_record, tracked as tracked
from .runner import conclude as conclude, read_corpus as read_corpus, run as run
