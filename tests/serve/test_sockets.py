import re
import socket

import pytest

from leanformer.serve.sockets import address_of, bind


def test_addresses():
    with bind("127.0.0.1", 0) as bound:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address_of(bound))
    with pytest.raises(ValueError, match="port: 65536 is not between"):
        bind("127.0.0.1", 2**16)
    with pytest.raises(OSError, match=r"host '192\.0\.2\.1': no server can listen there"):
        bind("192.0.2.1", 0)
    with pytest.raises(OSError, match=r"host 'a\.{3}b': no server can listen there"):
        bind("a...b", 0)


def test_a_port_that_needs_rights_says_so(monkeypatch):
    def denied(self, address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", denied)
    with pytest.raises(OSError, match=r"port 80 of 127\.0\.0\.1 needs rights"):
        bind("127.0.0.1", 80)
