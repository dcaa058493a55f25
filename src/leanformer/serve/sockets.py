"""The socket that a server listens at, and why there is none."""

import errno
import socket

_BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; connections wait in it until a server accepts them.

    Args:
        host: Name or address.
        port: Port; 0 = one that is free.

    Raises:
        OSError: The port is taken or needs rights, or the host is not one of this machine.
    """
    if not 0 <= port < 2**16:
        raise ValueError(f"port: {port} is not between 0 and 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(_BACKLOG)
        except BaseException:
            bound.close()
            raise
    except (OSError, UnicodeError) as error:
        raise OSError(_unbound(host, port, error)) from error
    bound.setblocking(False)
    return bound


def _unbound(host: str, port: int, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is taken by another server; stop that one, or give another "
            "port (0 = any that is free)"
        )
    if number == errno.EACCES:
        return f"port {port} of {host} needs rights that you lack; give one from 1024 up"
    return f"host {host!r}: no server can listen there ({error}); try 127.0.0.1 or 0.0.0.0"


def address_of(bound: socket.socket) -> str:
    """The address at which a socket is reached, as a browser takes it."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
