"""Sentences of the training split shown with their answers before the question: few-shot."""

from chmed_ner.demonstrations.demonstrator import Demonstrating, Demonstrator

__all__ = ["Demonstrating", "Demonstrator"]
