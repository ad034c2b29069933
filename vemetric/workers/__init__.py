"""Everything that runs in the background, in two tables: the pools of the queues, and the schedule."""

from collections.abc import Callable
from typing import NamedTuple

from vemetric.ingest import jobs
from vemetric.ingest.salts import DAY_MS
from vemetric.queues.pool import Handler, Pool, PoolSpec
from vemetric.queues.schedule import Entry, Schedule
from vemetric.services import Services
from vemetric.workers.device import DeviceWorker
from vemetric.workers.event import EventWorker
from vemetric.workers.session import SessionWorker
