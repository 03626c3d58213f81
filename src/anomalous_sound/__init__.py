"""anomalous-sound: learns the normal sound of a machine and says when it stops sounding normal.

``Detector`` and what it returns are imported when they are first used: PyTorch takes seconds.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "decision.detector": ["Detector"],
        "decision.verdict": ["Rejection", "Verdict"],
    },
)
