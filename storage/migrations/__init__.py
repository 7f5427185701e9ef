"""Alembic's environment and the migrations: one file per schema version, never edited later."""
