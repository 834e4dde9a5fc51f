"""Sentences with code in them: what stands between backticks. Each format marks it up in its own way."""


def pieces(text: str) -> list[tuple[str, str]]:
    """Words and the code that follows them, again and again; code is empty where there is none.

    A backtick without its partner is only a character.
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:
        parts[-2:] = ["`".join(parts[-2:])]
    return list(zip(parts[::2], [*parts[1::2], ""], strict=True))
