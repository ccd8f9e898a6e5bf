"""Carries messages of any size over Noise messages of at most 65,535 bytes, in order and whole.

One frame is one Noise message. Its plaintext is a flag byte and a piece of the message: 1 = more pieces follow, 0 = the
last. Only the last piece may be shorter than a full frame, so a message has exactly one way to be cut.
"""

from sync.errors import RemoteProtocolError
from sync.limits import FRAME_BYTES_MAX, NOISE_PLAINTEXT_BYTES_MAX
from sync.messages import MESSAGE_BYTES_MAX, Message, decode_message, encode_message
from sync.noise import NoiseTransport

PIECE_BYTES_MAX = NOISE_PLAINTEXT_BYTES_MAX - 1
_LAST = b"\x00"
_MORE = b"\x01"


class Channel:
    """Both directions of one encrypted connection.

    1. Frames must be opened in the order in which the peer sealed them; a replayed, lost or swapped one is refused.
    2. Never more than `message_bytes_max` of an unfinished message is kept.
    """

    def __init__(self, transport: NoiseTransport, *, message_bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._transport = transport
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0
        self.message_bytes_max = message_bytes_max

    def seal(self, message: Message) -> list[bytes]:
        """Return the frames that carry `message`. Raises LocalProtocolError if it is over the limit."""
        raw = encode_message(message)
        encrypt = self._transport.encrypt
        last_start = (len(raw) - 1) // PIECE_BYTES_MAX * PIECE_BYTES_MAX
        starts = range(0, last_start, PIECE_BYTES_MAX)
        frames = [encrypt(_MORE + raw[start : start + PIECE_BYTES_MAX]) for start in starts]
        frames.append(encrypt(_LAST + raw[last_start:]))
        return frames

    def open(self, frame: bytes) -> Message | None:
        """Return the message that `frame` completes, None if more are to come. Raises RemoteProtocolError."""
        if len(frame) > FRAME_BYTES_MAX:
            raise RemoteProtocolError(f"a frame of {len(frame)} bytes is over the limit of {FRAME_BYTES_MAX}")
        plaintext = self._transport.decrypt(frame)
        flag, piece = plaintext[:1], plaintext[1:]
        if not piece or flag not in (_LAST, _MORE) or (flag == _MORE and len(piece) != PIECE_BYTES_MAX):
            raise RemoteProtocolError("a frame is not a piece of a message")
        self._pieces_bytes += len(piece)
        if self._pieces_bytes > self.message_bytes_max:
            raise RemoteProtocolError(f"a message is over the limit of {self.message_bytes_max} bytes")
        self._pieces.append(piece)
        if flag == _MORE:
            return None
        raw = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._pieces_bytes = 0
        return decode_message(raw)
