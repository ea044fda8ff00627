"""Titles and logins are not ours: they are shown as plain text where Home Assistant renders Markdown."""


def plain(text: str) -> str:
    """Return a text that stays inside the code span that each translation puts around it.

    Nothing within a code span is Markdown or HTML. Only a backtick or an empty line would end it.
    """
    words = " ".join(text.replace("`", "'").split())
    return "".join(char for char in words if char.isprintable()) or "-"
