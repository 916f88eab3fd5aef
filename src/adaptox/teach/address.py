"""Where a teacher's server is, and which key it may see."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from adaptox.config import TeachConfig
from adaptox.errors import ConfigError

# OpenAI's own, and those of it that Azure runs, which take a key of the same name.
_OPENAI, _AZURE = "openai.com", "openai.azure.com"
# A host, by name or number, and a port.
_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Address:
    """A server, and what it is told about who asks.

    Attributes:
        key: to send; empty for none.
        is_openai: whether the user's organisation at OpenAI is its business.
    """

    key: str = field(repr=False)
    is_openai: bool


def address(config: TeachConfig) -> Address:
    """Check a server's address, and choose the key for it.

    Raises:
        ConfigError: no address that may be called, or no key for it.
    """
    host = _host(config.url)
    is_near = _is_near(host)
    if not is_near and urlsplit(config.url).scheme == "http":
        raise ConfigError(
            f"expected https in teach.url, got {config.url!r}: plain http shows key and conversations to everybody "
            "on the way, and is for servers on this machine or in its own network"
        )
    is_openai = _is_within(host, _OPENAI)
    if "key_variable" in config.model_fields_set or is_openai or _is_within(host, _AZURE):
        return Address(_key(config, is_near), is_openai)
    if is_near:
        return Address("", is_openai)
    raise ConfigError(
        f"expected the environment variable that holds the key of {host} in teach.key_variable, which is left out: "
        f"the key in {config.key_variable} is only sent to OpenAI's servers unless you name it"
    )


def _host(url: str) -> str:
    """Give the host of a server's address, in small letters."""
    if "@" in url or "?" in url:
        raise ConfigError(
            "expected teach.url without a user, password or query, since settings are written into results: "
            "put the key into the variable that teach.key_variable names"
        )
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".") if parts.port != 0 and parts.scheme in ("http", "https") else ""
        if host and (host.replace(".", "").isdecimal() or ":" in host):
            ipaddress.ip_address(host)
    except ValueError:
        host = ""
    # The client, which splits addresses in its own way, must not see another host, or stumble.
    if not host or not url.isprintable() or not _PLACE.fullmatch(parts.netloc):
        raise ConfigError(f"expected an address such as https://api.openai.com/v1 in teach.url, got {url!r}")
    return host


def _is_within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _is_near(host: str) -> bool:
    """Tell whether a host is this machine or in its own network, as far as its name shows."""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        # A name without a dot is one of a container's neighbours, or of the local network.
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))
    return number.is_loopback or number.is_private


def _key(config: TeachConfig, is_optional: bool) -> str:
    key = os.environ.get(config.key_variable, "").strip()
    if not key and not is_optional:
        raise ConfigError(
            f"expected the key of {config.url} in the environment variable {config.key_variable}, got none: set "
            "it, or name another variable in teach.key_variable"
        )
    if key and (not (key.isascii() and key.isprintable()) or " " in key):
        raise ConfigError(
            f"expected a key in the environment variable {config.key_variable}, got something with spaces or "
            "characters that no key has: set it again"
        )
    return key
