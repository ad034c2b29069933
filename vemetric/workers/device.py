"""The `device` queue: store devices that are not stored yet."""

from collections.abc import Sequence
from typing import Any

from vemetric.clickhouse.rows import timestamp
from vemetric.clickhouse.sink import DeviceKey
from vemetric.ingest import jobs
from vemetric.ingest.jobs import SeenDevice
from vemetric.queues.job import Job, NewJob, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services
from vemetric.workers import apart, holding


class DeviceWorker:
    """Handles batches of device jobs. A device is stored once, however often it is passed on."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def handle(self, claimed: Sequence[Job], lease: Lease) -> Write:
        """Insert the devices that are new to the store."""
        devices = {key_of(device): device for job in claimed for device in jobs.decode_devices(job.payload)}
        known = await self._services.sink.known_devices(devices)
        unknown = [device for key, device in devices.items() if key not in known]

        async def ask() -> set[int]:
            return await self._services.erased.ask(
                (device.project_id, device.user_id, device.created_ms) for device in unknown
            )

        async def write(some: Sequence[SeenDevice]) -> None:
            await self._services.sink.insert_devices([row_of(device) for device in some], may_insert=holds)

        async with self._services.erased.turn:
            erased = await ask()
            holds = holding.may_insert(self._services, lease, ask, erased)
            new = [device for position, device in enumerate(unknown) if position not in erased]
            refused = await apart.insert(write, new, may_part=len(claimed) == 1)
        merges = await self._services.merged.again(
            (device.project_id, device.user_id, device.created_ms) for device in new
        )
        return Write(jobs=[*(NewJob(jobs.DEVICE_QUEUE, jobs.encode([device])) for device in refused), *merges])


def key_of(device: SeenDevice) -> DeviceKey:
    return DeviceKey(device.project_id, device.user_id, device.device_id)


def row_of(device: SeenDevice) -> tuple[Any, ...]:
    """In the order of DEVICE_COLUMNS."""
    return (
        1, device.project_id, device.user_id, device.device_id, timestamp(device.created_ms), device.os_name,
        device.os_version, device.client_name, device.client_version, device.client_type, device.device_type, "",
    )  # fmt: skip
