"""Every setting in one table, read once from the environment; docs and `vemetric config` are made of it.

A setting is a line of `process`, `stores` or `people`, and a field of `settings.Config`.
"""

from vemetric.config.loading import load
from vemetric.config.option import Option
from vemetric.config.process import RETENTION_DAYS_MAX, RETENTION_DAYS_MIN
from vemetric.config.settings import Config
from vemetric.config.table import OPTIONS, as_markdown
from vemetric.config.values import HUB, ROLES, SECRET_CHARACTERS_MIN, WEB, WORKER, Address, Roles

__all__ = [
    "HUB",
    "OPTIONS",
    "RETENTION_DAYS_MAX",
    "RETENTION_DAYS_MIN",
    "ROLES",
    "SECRET_CHARACTERS_MIN",
    "WEB",
    "WORKER",
    "Address",
    "Config",
    "Option",
    "Roles",
    "as_markdown",
    "load",
]
