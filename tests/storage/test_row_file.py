from concurrent.futures import ThreadPoolExecutor

import numpy as np

from anomalous_sound.storage.row_file import RowFile


def test_threads_that_read_at_once_get_their_own_rows(tmp_path):
    values = np.arange(4000 * 3, dtype=np.float32).reshape(4000, 3)
    np.save(tmp_path / "rows.npy", values)
    rows = RowFile(tmp_path / "rows.npy")
    starts = np.random.default_rng(0).integers(0, 3990, (200, 20))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda some: rows.stretches(some, 10), starts))
    for some, stretches in zip(starts, found, strict=True):
        np.testing.assert_array_equal(stretches, values[some[:, None] + np.arange(10)])
