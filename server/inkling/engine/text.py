"""Bytes of tokens → text that can be sent: whole characters only, nothing after a stop string."""

import codecs


class TextStream:
    """Decodes one completion's bytes as they come. Stop strings match across tokens.

    What may still become a stop string is held back until it does or does not.
    """

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop = tuple(text for text in stop if text)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self.is_stopped = False

    def feed(self, data: bytes) -> str:
        """The text that is certain now. Sets `is_stopped` when a stop string was met."""
        self._held += self._decoder.decode(data)
        ends = [at for text in self._stop if (at := self._held.find(text)) >= 0]
        if ends:
            self.is_stopped = True
            text, self._held = self._held[: min(ends)], ""
            return text
        keep = max((self._overlap(text) for text in self._stop), default=0)
        cut = len(self._held) - keep
        text, self._held = self._held[:cut], self._held[cut:]
        return text

    def flush(self) -> str:
        """What was held back, at the completion's end."""
        text, self._held = self._held + self._decoder.decode(b"", final=True), ""
        return "" if self.is_stopped else text

    def _overlap(self, stop: str) -> int:
        """Length of the longest end of the held text that begins `stop`."""
        return next(
            (
                length
                for length in range(min(len(stop) - 1, len(self._held)), 0, -1)
                if self._held.endswith(stop[:length])
            ),
            0,
        )
