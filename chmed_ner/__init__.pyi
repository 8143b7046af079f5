"""What a program that imports chmed_ner uses."""

from .entities.types import Entity as Entity
from .run.predict import extractor as extractor, load as load
