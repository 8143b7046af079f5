"""Sentences of the training split shown with their answers before the question: few-shot."""

from chmed_ner.prompt.demonstrations.demonstrator import Demonstrator

__all__ = ["Demonstrator"]
