"""TSPLIB's layouts of an explicit matrix: one stream of numbers, cut in one of nine ways.

References
----------
G. Reinelt, TSPLIB 95, 1995, EDGE_WEIGHT_FORMAT.
"""

import numpy as np

from instances.errors import InvalidInput
from instances.routing.rounding import IntArray

# A triangle read by columns is the opposite triangle of the same symmetric matrix read by rows.
_UPPER = {"UPPER_ROW": 1, "LOWER_COL": 1, "UPPER_DIAG_ROW": 0, "LOWER_DIAG_COL": 0}
_LOWER = {"LOWER_ROW": -1, "UPPER_COL": -1, "LOWER_DIAG_ROW": 0, "UPPER_DIAG_COL": 0}
LAYOUTS = ("FULL_MATRIX", *_UPPER, *_LOWER)


def full_matrix(stream: IntArray, size: int, layout: str) -> IntArray:
    """The matrix, shape (size, size), of which ``stream`` holds a part in one of the :data:`LAYOUTS`.

    The diagonal is set to zero: published ATSP files write a large number there to forbid the loop.

    Raises
    ------
    InvalidInput
        If the stream has another length than the layout needs.
    """
    if layout == "FULL_MATRIX":
        expected = size * size
    elif {**_UPPER, **_LOWER}[layout] == 0:
        expected = size * (size + 1) // 2
    else:
        expected = size * (size - 1) // 2
    if len(stream) != expected:
        raise InvalidInput(f"{len(stream)} numbers; {layout} of {size} nodes needs {expected}", "EDGE_WEIGHT_SECTION")
    if layout == "FULL_MATRIX":
        matrix = stream.reshape(size, size).copy()
    else:
        matrix = np.zeros((size, size), dtype=np.int64)
        if layout in _UPPER:
            indices = np.triu_indices(size, _UPPER[layout])
        else:
            indices = np.tril_indices(size, _LOWER[layout])
        matrix[indices] = stream
        matrix = np.maximum(matrix, matrix.T)
    np.fill_diagonal(matrix, 0)
    return matrix
