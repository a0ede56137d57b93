"""Any message of the schemes, for hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from mqttsec.e2e.encoding import FieldForm, Message, kinds
from mqttsec.e2e.messages import KEY_ID_SIZE
from mqttsec.e2e.terms import Kind

identities = st.text(
    st.characters(exclude_characters="/+#$", exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=20
)
topics = st.lists(identities, min_size=1, max_size=4).map("/".join)


def _values(message: type[Message], form: FieldForm) -> st.SearchStrategy[Any]:
    if form.nested is not None:
        inner = messages(form.nested)
        return st.none() | inner if form.optional else inner
    hint = message.__annotations__[form.name]
    if hint == "int":
        return st.integers(0, (1 << 8 * form.at_most) - 1)
    if hint == "str":
        return topics if form.term is not None and form.term.kind is Kind.TOPIC else identities
    if form.at_most == KEY_ID_SIZE:
        return st.binary(min_size=KEY_ID_SIZE, max_size=KEY_ID_SIZE)
    return st.binary(max_size=min(form.at_most, 300))


def messages(message: type[Message]) -> st.SearchStrategy[Any]:
    """Any message of one type."""
    return st.deferred(
        lambda: st.builds(message, **{form.name: _values(message, form) for form in message.forms()})
    )


any_message = st.sampled_from(list(kinds().values())).flatmap(messages)
