"""The model as text for other tools: the syntax, as far as it can be checked here; none of them was run."""

from __future__ import annotations

import re

import pytest

from mqttsec.verify import classic, hlpsl, proverif, tamarin
from mqttsec.verify.from_steps import protocol
from mqttsec.verify.roles import Protocol
from mqttsec.verify.variants import VARIANTS, variant

PROTOCOLS: list[Protocol] = [
    *(protocol(each.setup(scheme).script, each.name) for each in VARIANTS for scheme in (2, 3)),
    classic.needham_schroeder(),
    classic.needham_schroeder(repaired=True),
    classic.signed_diffie_hellman(names=True),
    classic.signed_diffie_hellman(macs=True),
]
EACH = pytest.mark.parametrize("roles", PROTOCOLS, ids=lambda roles: roles.name)


@EACH
def test_tamarin_text_parses_with_the_grammar_of_the_language(roles: Protocol) -> None:
    tree_sitter = pytest.importorskip("tree_sitter")
    spthy = pytest.importorskip("tree_sitter_spthy")
    parser = tree_sitter.Parser(spthy.language())
    text = tamarin.text(roles)
    tree = parser.parse(text.encode())
    assert not tree.root_node.has_error
    claims = sum(len(role.claims) for role in roles.roles)
    assert text.count("lemma agreement_") == claims
    # The grammar does notice: a bracket less is an error.
    assert parser.parse(text.replace("])", "]", 1).replace("Out(", "Out", 1).encode()).root_node.has_error


def balanced(text: str) -> bool:
    depth: list[str] = []
    pairs = {")": "(", "}": "{", "]": "["}
    for sign in text:
        if sign in "([{":
            depth.append(sign)
        elif sign in pairs and (not depth or depth.pop() != pairs[sign]):
            return False
    return not depth


@EACH
def test_proverif_text_has_balanced_brackets_and_declares_its_names(roles: Protocol) -> None:
    text = proverif.text(roles)
    assert balanced(re.sub(r"\(\*.*?\*\)", "", text, flags=re.DOTALL))
    declared = set(re.findall(r"^(?:free|const|event|fun) (\w+)", text, re.MULTILINE))
    declared |= set(re.findall(r"forall|query|(\w+)\s*:\s*(?:host|bitstring|skey)\b", text))
    for name in re.findall(r"\b(?:event|inj-event)\(?\s*(commit_\w+|running_\w+)", text):
        assert name in declared
    for block in re.split(r"^let ", text, flags=re.MULTILINE)[1:]:
        body = block.partition("\nprocess")[0]
        bound = set(re.findall(r"(\w+):\s*(?:host|bitstring|skey)", body))
        bound |= set(re.findall(r"let (\w+) =", body))
        used = set(re.findall(r"\b([xvsp]_?[A-Z]\w*|[xv]_\w+|cert_\w+)\b", body))
        assert used <= bound, f"{used - bound} in {body.splitlines()[0]}"


@EACH
def test_hlpsl_text_has_the_shape_of_the_language(roles: Protocol) -> None:
    """A grammar of our own: roles that end, transitions with two sides, declared variables."""
    text = hlpsl.text(roles)
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert balanced("\n".join(lines))
    opened = re.findall(r"^role (\w+)\(", text, re.MULTILINE)
    assert len(opened) == text.count("end role") == len(roles.roles) + 2
    assert lines[-1] == "environment()" and "\nend goal\n" in text
    for body in re.findall(r"^role role_.*?^end role", text, re.MULTILINE | re.DOTALL):
        head, _, transitions = body.partition("transition")
        declared = set(re.findall(r"\b([A-Z]\w*)\b(?=[,:])", head.replace(", ", ",")))
        declared |= {"State", "G", "Kdf", "SND", "RCV"}
        used = set(re.findall(r"\b([A-Z]\w*)'?", transitions))
        assert used <= declared, f"{used - declared}"
        steps = re.findall(r"^  \d+\. .*=\|>", transitions, re.MULTILINE)
        assert steps and all(re.search(r"State = \d+ /\\ RCV\(.+\) =\|>$", step) for step in steps)
        assert transitions.count("State' := ") == len(steps)
    for goal in re.findall(r"(?:secrecy_of|authentication_on) (\w+)", text):
        assert re.search(rf"\b{goal}: protocol_id", text)


def test_what_is_signed_stands_in_all_three() -> None:
    roles = protocol(variant("hardened").script, "hardened")
    assert "{c2.B.P.exp(G,XRB').RP'.TB'}_inv(KB)" in hlpsl.text(roles)
    assert "sign((w_signed, w_c2, hB, hP, exp(g, x_R_B), v_R_P, v_T_B), sk)" in proverif.text(roles)
    assert "sign(<'c2', $B, $P, 'g'^~R_B, R_P, ~T_B>, ltkB)" in tamarin.text(roles)
