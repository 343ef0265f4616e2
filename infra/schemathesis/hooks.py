"""Leads generated calls to accounts that exist, and checks what a refusal says."""

import json
import os
import re

import schemathesis
from schemathesis.generation.meta import TestPhase

with open(os.environ["HUB_WORLD"]) as f:
    WORLD = json.load(f)

ACCOUNT = re.compile(r"acct_[0-9a-hjkmnp-tv-z]{26}")
PERSON = re.compile(r"per_[0-9a-hjkmnp-tv-z]{26}")
CONNECTION = re.compile(r"con_(acct|per)_[0-9a-hjkmnp-tv-z]{26}_acct_[0-9a-hjkmnp-tv-z]{26}")

calls = 0


def known(values, generated):
    """Returns one of the values, or now and then the generated one."""
    global calls
    calls += 1
    return generated if calls % 5 == 0 or not values else values[calls % len(values)]


def replaced(name, value, accounts):
    """Returns a value in place of a valid one. One that is not valid stays as it is."""
    if isinstance(value, dict):
        if name == "areas":
            # What is wrong with a level stays wrong. Nothing at all is asked for by none alone.
            levels = list(value.values())
            if levels and all(level == "none" for level in levels):
                levels[0] = "view"
            return dict(zip(WORLD["areas"], levels))
        return {key: replaced(key, v, accounts) for key, v in value.items()}
    if isinstance(value, list):
        return [replaced(name, v, accounts) for v in value]
    if isinstance(value, float) and value.is_integer():
        # JSON Schema takes 1.0 for a whole number, and Go's encoding/json does not.
        return int(value)
    if not isinstance(value, str):
        return value
    if CONNECTION.fullmatch(value):
        return known(WORLD["connections"], value)
    if ACCOUNT.fullmatch(value):
        return known(WORLD["agencies"] if name in ("agency", "as", "member") else accounts, value)
    if PERSON.fullmatch(value):
        return known(WORLD["persons"], value)
    if name == "plan" and 0 < len(value) <= 64:
        return known(WORLD["plans"], value)
    return value


def is_stateful(case):
    return case.meta is not None and case.meta.phase.name == TestPhase.STATEFUL


@schemathesis.hook
def before_call(context, case, kwargs):
    if is_stateful(case):
        return  # its ids are those of earlier answers
    # What is closed or removed is gone for the calls that follow.
    accounts = WORLD["spare" if case.method.upper() == "DELETE" else "accounts"]
    for part in ("path_parameters", "query", "body"):
        value = getattr(case, part)
        if isinstance(value, dict):
            value = {name: replaced(name, v, accounts) for name, v in value.items()}
            if value.get("as") in WORLD["agencies"] and not WORLD["isStaff"]:
                del value["as"]
            setattr(case, part, value)


# Sentences of the use cases about what no schema can say. A refusal for the form of a call is not
# among them.
REASONS = [
    re.compile(reason)
    for reason in (
        # A cursor is the next of an earlier answer to the same question.
        "This cursor is not of this list",
        # What a text must not have, such as characters that mislead a reader.
        "^(A|The|This) (name|message) (is|has|could)",
        "^Give it a name",
        # The settings of a deployment name its plans and areas, and an area of level none is not asked for.
        "There is no such plan",
        "There is no such area",
        "Give at least one area the level view or edit",
        # A time is compared with the clock.
        "The end date must lie",
        "Say when the payment succeeded or failed",
        # The role or the kind of the member decides what else a call can have.
        "Owners and admins have every area",
        "Say which areas the member may view or edit",
        "You can grant less than what was asked for",
        "Only an agency can be blocked",
        "Only an agency's access has an end date",
        "An agency has no role",
        "Only persons are assigned to clients",
        "Only a member of an agency can be limited",
        "every person is a member",
        "An offer of ownership can be declined, but not blocked",
        # One part of the call is compared with another, or with the path.
        "This request asks another account",
        "This is the agency's own account",
        "This is the same address",
        "A prefix needs a status",
        "Say what to change",
        "Name a limit to change",
        "Name the plan that was shown",
    )
]


@schemathesis.check
def valid_form_is_accepted(context, response, case):
    """A call that the schemas admit is never refused for its form."""
    mode = case.meta.generation.mode if case.meta else None
    if response.status_code != 400 or mode is None or not mode.is_positive:
        return
    if is_stateful(case):
        return  # it takes whole objects of an answer for ids
    problem = response.json()
    said = [problem["detail"]] + [e["message"] for e in problem.get("errors", [])]
    if not any(reason.search(sentence) for reason in REASONS for sentence in said):
        raise AssertionError("A valid call was refused for its form: " + json.dumps(problem))
