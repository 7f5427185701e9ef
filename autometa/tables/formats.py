"""The names of file formats: what a file's ending or a user's word says of how it is built.

Nothing is imported here: the command line lists the names in its help.
"""

from __future__ import annotations

from collections.abc import Mapping

# every name is also an ending; what it is read as stands beside it
FORMATS: Mapping[str, str] = {
    "csv": "csv",
    "tsv": "csv",
    "txt": "csv",
    "parquet": "parquet",
    "pq": "parquet",
    "arrow": "arrow",
    "feather": "arrow",
    "ipc": "arrow",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "excel": "excel",
    "xlsx": "excel",
    "xlsm": "excel",
    "xls": "excel",
}
DELIMITERS: Mapping[str, str] = {"tsv": "\t"}  # that a format's name tells
