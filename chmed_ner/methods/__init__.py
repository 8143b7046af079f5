"""Ways to tag: generative, lexicon, CRF, tagger, votes over other runs, another system's files.

A method that learns from the training split is a `chmed_ner.methods.fitted.Fitted`.
"""
