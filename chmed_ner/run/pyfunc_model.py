"""A run as an MLflow model "from code": MLflow runs a copy of this file, nothing is pickled.

The package must be installed, and the run's backbone must be there.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
from mlflow.exceptions import MlflowException
from pydantic import BaseModel

from chmed_ner.data import Document, annotate
from chmed_ner.run.predict import load


class Entity(BaseModel):
    """An entity of a text: `[start, end)` in its code points; how sure, 0 to 1, where known."""

    start: int
    end: int
    type: str
    mention: str
    confidence: float | None = None


class Annotation(BaseModel):
    """A text with its entities, and the problems of its answer, counted by reason."""

    id: str
    sentence: str
    entities: list[Entity]
    problems: dict[str, int]


class ExtractsEntities(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Texts in, the records of `chmed-ner predict` out."""

    def load_context(self, context: Any) -> None:
        """Load the run's model; an MLflow model is code, so whoever loads one trusts it."""
        self.predict_type_hints.input = None  # else MLflow takes a table's first column of texts
        run = Path(context.artifacts["run.json"]).parent
        self.predictor = load(run, trust_endpoint=True)

    def predict(self, model_input: list[str]) -> list[Annotation]:
        """One record a text; a text is cut into sentences to be read."""
        from chmed_ner.data import prediction_record

        found = annotate(self.predictor, [[Document(text) for text in model_input]])
        # plain values of that shape, which every client of MLflow can write as JSON
        records: Any = [prediction_record(each.prediction, split=False) for each in found]
        return list(records)


def _of_one_column(predict: Callable[..., Any]) -> Callable[..., Any]:
    """`predict`, which refuses a table of several columns: MLflow would take the first."""

    @functools.wraps(predict)
    def refusing(*given: Any, **named: Any) -> Any:
        for table in (*given, *named.values()):
            columns = list(getattr(table, "columns", ()))
            if len(columns) > 1:
                raise MlflowException.invalid_parameter_value(
                    f"the table has the columns {', '.join(map(str, columns))}: give the column of "
                    "texts alone, as in table[['text']], or a list of texts"
                )
        return predict(*given, **named)

    return refusing


# outside of what MLflow wraps around it when the class is made, which takes the table apart
setattr(ExtractsEntities, "predict", _of_one_column(ExtractsEntities.predict))  # noqa: B010
mlflow.models.set_model(ExtractsEntities())
