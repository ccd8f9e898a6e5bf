"""The streams that group tables by policy, and the order in which they are sent."""

from enum import IntEnum


class Stream(IntEnum):
    """A stream's code on the wire and on disk; a code is never given to another stream."""

    PROFILE = 0
    CONVERSATIONS = 1
    MEMORIES = 2
    KNOWLEDGE = 3
    FILES = 4
    VECTORS = 5
    ANALYTICS = 6
    MEDIA = 7

    @property
    def title(self) -> str:
        """The name that a person reads."""
        return self.name.lower()


_PRIORITY = {
    Stream.PROFILE: 0,
    Stream.CONVERSATIONS: 1,
    Stream.MEMORIES: 1,
    Stream.KNOWLEDGE: 2,
    Stream.FILES: 2,
    Stream.VECTORS: 3,
    Stream.ANALYTICS: 3,
    Stream.MEDIA: 3,
}


def stream_priority(stream: Stream) -> int:
    """Return the priority of a stream: 0 is sent first."""
    return _PRIORITY[stream]


#: All streams in the order in which they are sent.
STREAMS_BY_PRIORITY = tuple(sorted(Stream, key=lambda stream: (stream_priority(stream), stream)))
