"""Words findings: one function for each state, so that a check reads as what it says."""

from node.requests.doctor import Finding


def good(name: str, says: str) -> Finding:
    """All is as it should be."""
    return Finding(name=name, state="good", says=says)


def notice(name: str, says: str, mend: str = "") -> Finding:
    """Nothing is broken, but the person should know."""
    return Finding(name=name, state="notice", says=says, mend=mend)


def unknown(name: str, says: str, mend: str = "") -> Finding:
    """It could not be told; `mend` says how it can."""
    return Finding(name=name, state="unknown", says=says, mend=mend)


def bad(name: str, says: str, mend: str) -> Finding:
    """It is broken; `mend` is the command that mends it."""
    return Finding(name=name, state="bad", says=says, mend=mend)


def counted(count: int, noun: str) -> str:
    """Return `1 row`, `2 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def sized(count_bytes: int) -> str:
    """Return a number of bytes as a person says it."""
    size = float(count_bytes)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:,.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:,.1f} {unit}"
