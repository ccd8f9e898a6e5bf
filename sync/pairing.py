"""Admitting a new device: the two sides of the conversation between a trusted device and a newcomer.

The sponsor (S) belongs to the realm and showed the code; the newcomer (N) read it and calls. Noise XXpsk0, the code's
secret as pre-shared key; 4 to 12 travel inside the channel.

     #  from  message      carries                                      then
     1  N→S   Noise 1      -                                            S: a wrong code fails here, S stays silent
     2  S→N   Noise 2      realm id                                     N: checks the sponsor's key if it scanned it
     3  N→S   Noise 3      -                                            S: claims the pairing window, for one device
     4  N→S   Introduce    certificate, signature over the channel      S: its noise key must be the handshake's
     5  S→N   Commit       H(channel, S's nonce)
     6  N→S   Contribute   N's nonce
     7  S→N   Reveal       S's nonce                                    both show name and six digits
        S: the person says yes and the owner's key signs the Add.       N: the person says yes
     8  S→N   RosterPart…  Genesis and all statements, in parts         N: must lead to the realm id of message 2
     9  S→N   Propose      Add, signed by the owner                     N: its own certificate, byte for byte
    10  N→S   Countersign  N's signature of the Add                     S: stores Add and a new key epoch
    11  S→N   Admit        Epoch, older discovery secrets               N: active, epoch opens, stores everything
    12  N→S   Done         -                                            S: paired

Either side may say Cancel after message 3. Both are machines without input or output of their own: frames, answers of
people, random values and instants go in, effects come out, to be carried out in order, each finished before the next
and before the next input. Any exception ends the machine; the caller closes the link. Should the link break between
10 and 12, the newcomer may pair again with the same keys.
"""

from sync.crockford import MalformedCode
from sync.pairing_code import PairingCode, make_code, read_code
from sync.pairing_effects import Cancelled, CompareDigits, Joined, Paired, PairingEffect, StoreStatements
from sync.pairing_messages import CancelReason
from sync.pairing_newcomer import PairingNewcomer
from sync.pairing_sponsor import PairingSponsor
from sync.pairing_window import PairingClosed, PairingWindow

__all__ = [
    "CancelReason",
    "Cancelled",
    "CompareDigits",
    "Joined",
    "MalformedCode",
    "Paired",
    "PairingClosed",
    "PairingCode",
    "PairingEffect",
    "PairingNewcomer",
    "PairingSponsor",
    "PairingWindow",
    "StoreStatements",
    "make_code",
    "read_code",
]
