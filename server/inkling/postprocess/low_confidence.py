from collections.abc import Sequence
from itertools import accumulate

from inkling.postprocess.draft import Draft

Score = tuple[int, float]


def stop_at_low_confidence(draft: Draft, scores: Sequence[Score], min_logprob: float) -> Draft:
    """A completion ends before the first line that the model is not sure of.

    `scores` are the places of tokens in the raw text and their log-probabilities (natural). A line is
    judged by their mean, once it is finished. A line without any is as good as those around it.
    """
    lines = draft.finished_lines
    ends = accumulate(len(line) + 1 for line in lines)
    start = 0
    for end in ends:
        own = [logprob for place, logprob in scores if start <= place < end]
        if own and sum(own) / len(own) < min_logprob:
            return draft.cut(max(0, start - 1), "low confidence")
        start = end
    return draft
