"""What a visitor's client is."""

import msgspec


class Device(msgspec.Struct, frozen=True, gc=False):
    """Names as the original's; 'Unknown' (type: 'unknown') when not recognised. client_type: browser or server."""

    os_name: str = "Unknown"
    os_version: str = "Unknown"
    client_name: str = "Unknown"
    client_version: str = "Unknown"
    client_type: str = "server"
    device_type: str = "unknown"
