"""Bounded compression of a batch's or page's body: the size is known, and checked, before a byte is inflated."""

import zstandard

from sync.errors import RemoteProtocolError

PLAIN, ZSTD = 0, 1
# Below this a zstd frame costs more than it saves.
_COMPRESS_BYTES_MIN = 256

_compressor = zstandard.ZstdCompressor(level=1, write_content_size=True)
_decompressor = zstandard.ZstdDecompressor()


def pack(body: bytes) -> tuple[int, bytes]:
    """Return (codec, packed bytes)."""
    if len(body) < _COMPRESS_BYTES_MIN:
        return PLAIN, body
    return ZSTD, _compressor.compress(body)


def unpack(codec: int, packed: bytes, body_bytes_max: int) -> bytes:
    """Return the body of at most `body_bytes_max` bytes, else raise RemoteProtocolError; inflates no byte more."""
    try:
        if codec == ZSTD and 0 < zstandard.frame_content_size(packed) <= body_bytes_max:
            body = _decompressor.decompress(packed, max_output_size=body_bytes_max, allow_extra_data=False)
        elif codec == PLAIN:
            body = packed
        else:
            raise RemoteProtocolError("a body is packed in an unknown way or its size is not what it says")
    except zstandard.ZstdError as error:
        raise RemoteProtocolError("a body's compression is malformed") from error
    if len(body) > body_bytes_max:
        raise RemoteProtocolError("a body's size is not what it says")
    return body
