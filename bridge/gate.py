# SPDX-License-Identifier: Apache-2.0
"""Who may come in: the holders of known keys alone (ZAP, ZeroMQ RFC 27), asked for each connection."""

import zmq
from zmq.auth.thread import ThreadAuthenticator

from bridge.keys import Keys


class Gate:
    """Guards the channels of one server, from a thread of its own until `stop`.

    The data channel is for the model's side alone; the control channel answers this side's own key, too, so that
    it can ask itself whether it lives. To be made before a channel is bound.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", keys: Keys):
        self._secret = keys.secret
        self._authenticator = ThreadAuthenticator(context)
        self._authenticator.start()
        for domain, holders in (("data", {keys.other}), ("control", {keys.other, keys.public})):
            self._authenticator.configure_curve_callback(domain, _Holders(holders))
        self.stop = self._authenticator.stop

    def guard(self, channel: "zmq.Socket[bytes]", domain: str) -> None:
        """Let a channel, not yet bound, accept only who may come in."""
        channel.setsockopt(zmq.CURVE_SERVER, 1)
        channel.setsockopt(zmq.CURVE_SECRETKEY, self._secret)
        channel.setsockopt(zmq.ZAP_DOMAIN, domain.encode())
        channel.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


class _Holders:
    def __init__(self, public: set[bytes]):
        self._public = public

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether the client with this public key (Z85) may come in."""
        return key in self._public
