"""Is a clip louder or quieter than normal clips at some frequencies?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class BandLevels:
    """The mean spectrum of a clip, and those of the normal clips that it is compared with.

    Attributes:
        clip_db: dB of each mel band; see :func:`.levels.mean_spectrum`.
        normal_db: the same of the normal clips, clips × mel bands.
    """

    clip_db: np.ndarray
    normal_db: np.ndarray

    def change_db(self, bands: slice) -> float:
        """Return by how much the clip is louder in some bands than normal clips are, dB.

        A gain is nobody's news. So each clip's level in these bands is that relative to its other
        ones: the mean difference from the mean spectrum of all clips, less the median of the
        differences outside. The judged clip counts among all clips, so that a normal clip that is
        exchangeable with the n others lies below or above all of them in 2 of n + 1 cases at most.

        Args:
            bands: which; half of all at least are outside, or nothing can be said.

        Returns:
            Above 0: louder, below 0: quieter. 0 where a normal clip is as loud or as quiet, or
            where nothing can be said.
        """
        all_db = np.concatenate([self.normal_db, self.clip_db[None]])
        differences = all_db - all_db.mean(axis=0)
        outside = np.delete(differences, bands, axis=1)
        if 2 * outside.shape[1] < differences.shape[1]:
            return 0.0
        relative = differences[:, bands].mean(axis=1) - np.median(outside, axis=1)
        own, normal = relative[-1], relative[:-1]
        if normal.min() <= own <= normal.max():
            return 0.0
        return float(own - normal.mean())
