"""The kinds of columns that tables are made of, and the metadata that all of them belong to."""

import json
from typing import Any

from sqlalchemy import BigInteger, Column, Dialect, ForeignKey, MetaData, String, Text
from sqlalchemy.types import TypeDecorator

UNSIGNED_64_MAX = 2**64 - 1

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Unsigned64(TypeDecorator[int]):
    """An unsigned 64-bit id as decimal text: neither SQLite nor PostgreSQL has an integer that holds it."""

    impl = String(20)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if not 0 <= value <= UNSIGNED_64_MAX:
            raise ValueError(f"{value} is not an unsigned 64-bit id")
        return str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


class JsonText(TypeDecorator[Any]):
    """A JSON document as text, the same on every database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def time_column(name: str, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def text_column(name: str, length: int | None = None, nullable: bool = False, unique: bool = False) -> Column[str]:
    return Column(name, String(length) if length else Text(), nullable=nullable, unique=unique)


def belongs_column(name: str, target: str, kind: Any, nullable: bool = False) -> Column[Any]:
    """A reference: the row goes with what it belongs to; an optional one is emptied instead."""
    return Column(name, kind, ForeignKey(target, ondelete="SET NULL" if nullable else "CASCADE"), nullable=nullable)
