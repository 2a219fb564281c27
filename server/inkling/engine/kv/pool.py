"""Page numbers with reference counts."""

from inkling.errors import InklingError


class CacheFull(InklingError):
    """Every page is in use by requests that run now."""


class PagePool:
    """`num_pages` page numbers. A page is free when nothing refers to it."""

    def __init__(self, num_pages: int) -> None:
        self.num_pages = num_pages
        self._counts = [0] * num_pages
        # Low numbers first and in order: pages in a row can be read without a copy.
        self._free = list(range(num_pages - 1, -1, -1))

    @property
    def num_free(self) -> int:
        return len(self._free)

    def count(self, page: int) -> int:
        """How many refer to `page`."""
        return self._counts[page]

    def take(self) -> int | None:
        """A free page with one reference, None when there is none."""
        if not self._free:
            return None
        page = self._free.pop()
        self._counts[page] = 1
        return page

    def hold(self, *pages: int) -> None:
        """One more reference to each of some pages in use."""
        counts = self._counts
        for page in pages:
            assert counts[page] > 0, "a free page cannot be held"
            counts[page] += 1

    def drop(self, *pages: int) -> None:
        """One reference to each less; the last frees the page."""
        counts = self._counts
        for page in pages:
            assert counts[page] > 0, "a free page cannot be dropped"
            counts[page] -= 1
            if not counts[page]:
                self._free.append(page)
