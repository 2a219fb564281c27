from inkling.postprocess.draft import Draft


def stop_at_suffix_line(draft: Draft) -> Draft:
    """The completion ends before a line that stands below the cursor already."""
    below = next((line for line in draft.suffix.split("\n")[1:6] if line.strip()), None)
    if below is None:
        return draft
    position = 0
    for index, line in enumerate(draft.finished_lines):
        whole = draft.line_before + line if index == 0 else line
        if whole.rstrip() == below.rstrip():
            end = 0 if index == 0 else position - 1
            return draft.cut(end, "the line below")
        position += len(line) + 1
    return draft
