"""Sentences, mentions, labels, BIO tags, scripts, and the restoration of spans from mentions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
