"""Views for whoever asks in SQL: a stable face over tables that may change.

They join what belongs together, turn losses into scores in the metric's own sign, tell times as
UTC, and hold no file. `docs/store.md` lists their columns. They are made anew after each
migration, so that a change to one comes with a new schema version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlalchemy import Connection, inspect

from autometa.metric_names import GREATER_IS_BETTER
from autometa.storage.schema import PREFIX

_OF_STUDY = """
    FROM autometa_study s JOIN autometa_table t ON t.fingerprint = s.table_fingerprint
"""
_OF_TRIAL = """
    FROM autometa_trial r JOIN autometa_study s ON s.id = r.study_id
    JOIN autometa_table t ON t.fingerprint = s.table_fingerprint
"""

# [score x] is the score of the loss x, [json x] the JSON in the text x, [time x] the moment that
# is x seconds after 1970: each database says these in its own way
VIEWS: Mapping[str, str] = {
    "autometa_tables": """
        SELECT t.name AS table_name, t.fingerprint, t.n_rows, t.n_columns, t.target, t.kind,
            t.n_classes, [json t.description] AS description,
            [json t.column_names] AS column_names,
            (SELECT p.n_rows FROM autometa_sample p WHERE p.table_fingerprint = t.fingerprint)
                AS n_kept_rows,
            t.created_at
        FROM autometa_table t
    """,
    "autometa_studies": f"""
        SELECT s.id AS study, s.name, t.name AS table_name, t.fingerprint, s.metric, s.status,
            [score s.best_loss] AS score, s.best_loss AS loss,
            [score s.baseline_loss] AS baseline_score, s.baseline_loss, s.seed, s.split,
            [json s.options] AS options, s.created_at AS started_at, s.updated_at, s.finished_at,
            s.autometa_version
        {_OF_STUDY}
    """,
    "autometa_trials": f"""
        SELECT s.id AS study, r.number, t.name AS table_name, t.fingerprint, s.metric, r.learner,
            r.state, [score r.loss] AS score, r.loss, [json r.config] AS config, r.config_hash,
            r.origin, r.error, r.duration_s, r.predict_s, r.peak_memory_mb, r.n_steps,
            [time r.started_at] AS started_at
        {_OF_TRIAL}
    """,
    "autometa_folds": f"""
        SELECT s.id AS study, r.number, t.name AS table_name, t.fingerprint, s.metric, r.learner,
            f.fold, [score f.loss] AS score, f.loss
        {_OF_TRIAL} JOIN autometa_fold f ON f.trial_id = r.id
    """,
    "autometa_models": f"""
        SELECT m.id AS model, s.id AS study, t.name AS table_name, t.fingerprint, s.metric, m.path,
            [json m.scores] AS scores, [json m.members] AS members, m.created_at
        {_OF_STUDY} JOIN autometa_model m ON m.study_id = s.id
    """,
    "autometa_proposals": f"""
        SELECT p.id AS proposal, s.id AS study, t.name AS table_name, t.fingerprint, p.kind,
            p.origin, [json p.content] AS content, p.created_at
        {_OF_STUDY} JOIN autometa_proposal p ON p.study_id = s.id
    """,
    "autometa_priors": """
        SELECT p.digest, p.name, p.kind, p.parent,
            coalesce(p.digest = (
                SELECT u.digest FROM autometa_promotion u WHERE u.kind = p.kind
                ORDER BY u.id DESC LIMIT 1
            ), 1 = 0) AS is_in_use,
            [json p.card] AS card, [json p.gates] AS gates, p.created_at
        FROM autometa_prior p
    """,
}

_GREATER = ", ".join(f"'{name}'" for name in sorted(GREATER_IS_BETTER))
_SCORE = rf"CASE WHEN s.metric IN ({_GREATER}) THEN 1 - \1 ELSE \1 END"
# numbers that JSON lacks, as Python writes them, become null
_POSTGRESQL_JSON = (
    r"CASE WHEN \1 LIKE '%NaN%' OR \1 LIKE '%Infinity%' THEN regexp_replace(\1, "
    r"'(?<=[:,[])(NaN|-?Infinity)(?=[],}])', 'null', 'g') ELSE \1 END::json"
)
_WORDS = {
    "sqlite": {
        "score": _SCORE,
        "json": r"\1",
        # a million of a second, as the other times have
        "time": r"strftime('%Y-%m-%d %H:%M:%f', nullif(\1, 0), 'unixepoch') || '000'",
    },
    "postgresql": {
        "score": _SCORE,
        "json": f"({_POSTGRESQL_JSON})",
        "time": r"to_timestamp(nullif(\1, 0)) AT TIME ZONE 'UTC'",
    },
}


def view_sql(name: str, dialect: str) -> str:
    """What the view selects, in one line."""
    text = " ".join(VIEWS[name].split())
    for word, meaning in _WORDS[dialect].items():
        text = re.sub(rf"\[{word} ([a-z_.]+)\]", meaning, text)
    return text


def drop_views(connection: Connection) -> None:
    """Make way for a migration: a view may hold a column that is to change."""
    for name in inspect(connection).get_view_names():
        if name.startswith(PREFIX):
            connection.exec_driver_sql(f"DROP VIEW {name}")


def create_views(connection: Connection) -> None:
    """Make all views; there must be none."""
    plain = connection.execution_options(no_parameters=True)  # a % is a %
    for name in VIEWS:
        plain.exec_driver_sql(f"CREATE VIEW {name} AS {view_sql(name, plain.dialect.name)}")
