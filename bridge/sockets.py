# SPDX-License-Identifier: Apache-2.0
"""A channel: one ZeroMQ socket with the bounds that both sides keep."""

import zmq

TICK_S = 0.25
"""A wait on a channel is looked up from this often."""
HANDSHAKE_S = 5.0
"""A connection that has not shaken hands by then is dropped."""
MAX_UNREAD = 4
"""Messages of one peer that wait to be read: one is due, the others are the same sent again."""
MAX_UNSENT = 64
"""Messages for one peer that wait to be sent. ZeroMQ notes only now and then that some are gone, so not too few."""


def open_channel(
    context: "zmq.Context[zmq.Socket[bytes]]", kind: zmq.SocketType, max_bytes: int
) -> "zmq.Socket[bytes]":
    """A socket that receives messages of up to `max_bytes`.

    ZeroMQ drops a connection with a frame above twice that, before it takes memory for it; between the two, the
    receiver can say what is wrong. Beyond `MAX_UNREAD` messages a sender has to wait, and what is beyond `MAX_UNSENT`
    for who does not read is dropped.
    """
    channel = context.socket(kind)
    channel.setsockopt(zmq.MAXMSGSIZE, 2 * max_bytes)
    channel.setsockopt(zmq.RCVHWM, MAX_UNREAD)
    channel.setsockopt(zmq.SNDHWM, MAX_UNSENT)
    channel.setsockopt(zmq.HANDSHAKE_IVL, round(1e3 * HANDSHAKE_S))
    channel.setsockopt(zmq.RCVTIMEO, round(1e3 * TICK_S))
    channel.setsockopt(zmq.SNDTIMEO, round(1e3 * TICK_S))
    channel.setsockopt(zmq.LINGER, 500)
    channel.setsockopt(zmq.IPV6, 1)
    return channel
