"""The words a model reads, and the format in which it answers."""

from chmed_ner.prompt.formats.answer import Answer, AnswerFormat
from chmed_ner.prompt.prompt import Prompt, TaskPrompt

__all__ = ["Answer", "AnswerFormat", "Prompt", "TaskPrompt"]
