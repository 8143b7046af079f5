"""What other rooms use of `data`."""

from .catalog import (
    BASE_URL as BASE_URL,
    PublishedCorpus as PublishedCorpus,
    altered_files as altered_files,
    check_file as check_file,
    named_corpora as named_corpora,
)
from .column_files import ColumnFiles as ColumnFiles
from .columns import (
    ColumnFile as ColumnFile,
    Row as Row,
    read_columns as read_columns,
    read_rows as read_rows,
)
from .corpus import (
    Corpus as Corpus,
    Limit as Limit,
    Sentences as Sentences,
    carve_validation as carve_validation,
)
from .dataset import (
    Dataset as Dataset,
    MissingTrainingFileError as MissingTrainingFileError,
    Sample as Sample,
)
from .datasets import (
    ROCLING2022 as ROCLING2022,
    ROCLING2023 as ROCLING2023,
    HealthNER as HealthNER,
)
from .documents import (
    MAX_CHARACTERS as MAX_CHARACTERS,
    Annotated as Annotated,
    Document as Document,
    annotate as annotate,
    read_documents as read_documents,
)
from .download import Server as Server, fetch_file as fetch_file
from .formats import FORMATS as FORMATS, read_annotated as read_annotated
from .formats.annotations import Annotations as Annotations
from .gazetteer import UNTYPED as UNTYPED, Gazetteer as Gazetteer, WordList as WordList
from .predictions import (
    SAME_CHARACTERS as SAME_CHARACTERS,
    check_same_characters as check_same_characters,
    prediction_record as prediction_record,
    predictions_of as predictions_of,
    read_predictions as read_predictions,
    write_predictions as write_predictions,
)
from .pseudo_labels import PSEUDO_LABELS as PSEUDO_LABELS, labeller_line as labeller_line
from .repairs import (
    conflicts_markdown as conflicts_markdown,
    log_changes as log_changes,
    write_conflicts as write_conflicts,
)
from .sources import located as located
from .statistics import (
    corpus_statistics as corpus_statistics,
    parts_of as parts_of,
    published_for as published_for,
    statistics_markdown as statistics_markdown,
)
from .writing import (
    ANNOTATION_FORMATS as ANNOTATION_FORMATS,
    as_gold as as_gold,
    write_annotations as write_annotations,
)
