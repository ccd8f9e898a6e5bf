"""States every limit of the sync protocol, each with its reason.

All sizes are in bytes unless the name says otherwise. A limit is checked before memory is spent on what it bounds.
"""

from typing import Final

KIBIBYTE: Final = 1024
MEBIBYTE: Final = 1024 * KIBIBYTE

# Noise: the specification (revision 34, section 3) bounds every message to 65,535 bytes; 16 of them are the tag.
NOISE_MESSAGE_BYTES_MAX: Final = 65_535
NOISE_PLAINTEXT_BYTES_MAX: Final = NOISE_MESSAGE_BYTES_MAX - 16
# One WebSocket frame carries one Noise message, so the frame limit is Noise's.
FRAME_BYTES_MAX: Final = NOISE_MESSAGE_BYTES_MAX
# Both ends change a direction's key after this many messages, far below any bound of ChaCha20-Poly1305, so that a key
# read out of memory late does not open what was sent early.
NOISE_REKEY_MESSAGES: Final = 2**16
# The longest session under one handshake; a new one brings fresh ephemeral keys.
SESSION_SECONDS_MAX: Final = 24 * 3600

# A handshake takes milliseconds of work and a few journeys.
HANDSHAKE_SECONDS: Final = 5
# From its connection on a stranger has this long to prove that it belongs, statements of its own realm included.
STRANGER_SECONDS: Final = 10
# Connections whose other end has proved nothing, in all and of one address; each holds less than 200 KiB. Of more, the
# oldest is cut off.
STRANGERS_MAX: Final = 32
STRANGERS_PER_ADDRESS_MAX: Final = 8
# The current discovery secret and those of key epochs that some device has not confirmed yet. Each costs a stranger's
# first message one more authenticated decryption, so the number is small.
DISCOVERY_SECRETS_MAX: Final = 3

# A transaction over this is refused with advice at the writer; nobody else sends or accepts more.
BATCH_BYTES_MAX: Final = 8 * MEBIBYTE
# The same number bounds what a compressed batch may expand to; the frame's stated size is checked first.
BATCH_RAW_BYTES_MAX: Final = 8 * MEBIBYTE
CHANGES_PER_BATCH_MAX: Final = 100_000
# A layout is a table with a set of columns; one transaction writes few of them.
LAYOUTS_PER_BATCH_MAX: Final = 4_096

# A batch may be written again more than once: by a store that was set back twice, or whose clock was wrong too.
STANDS_FOR_MAX: Final = 16

# Bundles of this size keep the cost of framing small and the wait for an urgent message behind one short.
BUNDLE_BYTES_TARGET: Final = 512 * KIBIBYTE
# Pages of a snapshot are measured before they are compressed, to about a third; each is one durable commit.
PAGE_BYTES_TARGET: Final = MEBIBYTE
# A bundle goes over its target only for one batch that is larger by itself: the largest batch, padded by at most
# 6.2 %, must still fit, or it could never leave its device.
ENVELOPE_BYTES_MAX: Final = 9 * MEBIBYTE
# A batch takes more than 100 bytes, so no honest bundle of the target size comes near.
ENVELOPE_ITEMS_MAX: Final = 16_384
# Sizes below this all look alike: most single edits do.
PADDING_FLOOR_BYTES: Final = KIBIBYTE

# Unacknowledged envelope bytes in flight on one link: two to four bundles keep the receiver's store busy while it
# commits, and a receiver never holds more than this for a peer (one oversize envelope excepted).
WINDOW_BYTES: Final = 2 * MEBIBYTE

# Of a comparison of rows by ranges: ranges in one question (sixteen of sixteen each), and questions in one session.
RANGES_MAX: Final = 256
REPAIR_ASKS_MAX: Final = 512
# All rows are read for a question about everything, and an honest comparison of 16 million rows cuts six times. A
# session's questions about a stream may have so many times its rows added up, and so many rows more.
SUMMED_PASSES_MAX: Final = 16
SUMMED_ROWS_SPARE: Final = 100_000

# A certificate with its names takes some 300 bytes; a key epoch for 20 devices some 3 KiB.
STATEMENT_BYTES_MAX: Final = 16 * KIBIBYTE
# What a peer that is not on the roster may deliver before the link is closed: enough to prove that it belongs.
STATEMENTS_FROM_UNKNOWN_BYTES_MAX: Final = 64 * KIBIBYTE

# A batch stamped further ahead of this device's clock is held: neither applied nor acknowledged.
CLOCK_AHEAD_MILLISECONDS_MAX: Final = 24 * 3600 * 1000
# What one link may hold back before it asks for the rest again later.
HELD_BATCHES_BYTES_MAX: Final = 16 * MEBIBYTE

# Hashes asked for at once while two versions of a chain are compared: 2 KiB of answer, six rounds for the longest.
CHAIN_PROBES_MAX: Final = 64

# Questions about chains in one session, and batches asked for among them: each may be of the largest size, while a
# chain costs one.
CHAIN_ASKS_MAX: Final = 2_048
CHAIN_BATCHES_MAX: Final = 256

# Argon2id parameters are read from files that a thief may have edited: bounded before a byte is allocated.
ARGON2ID_OPERATIONS_MAX: Final = 16
ARGON2ID_MEMORY_BYTES_MAX: Final = 2 * 1024 * MEBIBYTE
PASSPHRASE_BYTES_MAX: Final = KIBIBYTE
