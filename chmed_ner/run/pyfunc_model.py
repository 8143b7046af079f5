"""A run as an MLflow model "from code": MLflow runs a copy of this file, nothing is pickled.

The package must be installed, and the run's backbone must be there.
"""

from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
from pydantic import BaseModel

from chmed_ner.data import Document, annotate
from chmed_ner.run.predict import load


class Entity(BaseModel):
    """An entity of a text: `[start, end)` in its code points."""

    start: int
    end: int
    type: str
    mention: str


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
        run = Path(context.artifacts["run.json"]).parent
        self.predictor = load(run, trust_endpoint=True)

    def predict(self, model_input: list[str]) -> list[Annotation]:
        """One record a text; a text is cut into sentences to be read."""
        from chmed_ner.data import prediction_record

        found = annotate(self.predictor, [[Document(text) for text in model_input]])
        # plain values of that shape, which every client of MLflow can write as JSON
        records: Any = [prediction_record(each.prediction, split=False) for each in found]
        return list(records)


mlflow.models.set_model(ExtractsEntities())
