"""The status as clients see it."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inkling.completer import Status


class StatusReport:
    """`report` has `state` ("starting", "ready", "off" or "error"), `model`, `kind`, `where` it runs
    and `reason`: why the last request was silent, "" if it was not."""

    def __init__(self, publish: Callable[[dict[str, str]], None]) -> None:
        """`publish` is called with the report whenever it changes."""
        self.report = {"state": "starting", "model": "", "kind": "", "reason": "", "where": ""}
        self._publish = publish

    def update(self, status: "Status") -> None:
        """The completer's status changed. Of its reasons only an error counts: the last request may
        have been one that the server itself left alone."""
        report = dataclasses.asdict(status)
        if status.state != "error":
            report["reason"] = self.report["reason"]
        self._set(report)

    def answered(self, reason: str) -> None:
        """A request was answered: with nothing for this reason, or with something ("")."""
        self._set({**self.report, "reason": reason})

    def _set(self, report: dict[str, str]) -> None:
        if report != self.report:
            self.report = report
            self._publish(report)
