"""Files of many rows, read and written a few at a time: ``.npy`` and ``.safetensors``. No Keras here.

Nothing is mapped into memory: pages of a mapped file count as the process's own, and who cuts it short ends the process.
"""

from gyoza.rows.reading import RowsFile, StoredRows, open_rows
from gyoza.rows.writing import RowsWriter, writing_rows

__all__ = ["RowsFile", "RowsWriter", "StoredRows", "open_rows", "writing_rows"]
