"""Where the store lies when nobody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_dir

STORE_VARIABLE = "AUTOMETA_STORE"


def data_folder() -> Path:
    """The platform's folder for this user's autometa data; it need not exist."""
    return Path(user_data_dir("autometa", appauthor=False))


def default_store() -> str:
    """The store that the environment names, else `store.db` in the data folder."""
    return os.environ.get(STORE_VARIABLE) or str(data_folder() / "store.db")
