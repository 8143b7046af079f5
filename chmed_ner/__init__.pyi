"""What a program that imports chmed_ner uses."""

from .run.predict import load as load
