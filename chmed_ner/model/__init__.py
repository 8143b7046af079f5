"""One language model in this process: its checkpoint, its kernels, its decoding."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
