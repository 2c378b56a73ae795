"""How long something took, as people say it."""

__all__ = ["spoken_duration"]


def spoken_duration(milliseconds: float | None) -> str:
    """Return a duration given in milliseconds: "340 ms", "1.2 s", "3 min 20 s", "2 h 5 min"; "—" for `None`."""
    if milliseconds is None:
        return "—"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3_600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3_600:.0f} h {seconds % 3_600 // 60:.0f} min"
