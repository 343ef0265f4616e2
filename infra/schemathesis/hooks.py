"""Leads generated calls to accounts that exist, and checks what a refusal says."""

import collections
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
            # What is wrong with a level stays wrong. There are fewer areas than a call can name.
            levels = sorted(value.values(), key=lambda level: level == "none")
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


def operation_of(case):
    return case.operation.definition.raw


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode is not None and case.meta.generation.mode.is_positive


# How many calls each operation has had that were led to values that go together.
led = collections.Counter()


def lead(case):
    """Leads a valid call to values with which it can succeed, and returns whether it did."""
    name = operation_of(case)["operationId"]
    choices = WORLD["together"].get(name)
    if not choices or not is_positive(case):
        return False
    led[name] += 1
    if led[name] % 5 == 0:
        return False
    values = choices[(led[name] - 1) % len(choices)]
    for part in ("path_parameters", "query", "body"):
        value = getattr(case, part)
        if isinstance(value, dict):
            value = value | {key: v for key, v in values.items() if key in value}
            if part == "query":
                value.pop("as", None)
            for key in value.keys() - values.keys():
                if key in ("areas", "plan", "clients"):
                    value[key] = replaced(key, value[key], WORLD["accounts"])
            setattr(case, part, value)
    return True


@schemathesis.hook
def before_call(context, case, kwargs):
    if is_stateful(case) or lead(case):
        return  # the ids of a stateful call are those of earlier answers
    accounts = WORLD["accounts"]
    if operation_of(case)["operationId"] in LASTING:
        accounts = WORLD["closed"]
    for part in ("path_parameters", "query", "body"):
        value = getattr(case, part)
        if isinstance(value, dict):
            value = {name: replaced(name, v, accounts) for name, v in value.items()}
            if part == "query" and value.get("as") in WORLD["agencies"] and not WORLD["isStaff"]:
                del value["as"]
            setattr(case, part, value)


# What these close or hand over is gone for the calls that follow.
LASTING = ("close-account", "switch-agency-off", "remove-member", "replace-owner")


# Sentences of the use cases about what no schema can say. A refusal for the form of a call is not
# among them.
REASONS = [
    re.compile(reason)
    for reason in (
        # A cursor is the next of an earlier answer to the same question.
        "(This cursor is not|Not a cursor) of this list",
        # What a text must not have, such as characters that mislead a reader.
        "^The (name|message) has ("
        "a line break or a tab|an accent or mark without a letter|too many accents|encoded text|a letter that shows as nothing|"
        "(a|an invisible|a control|a private) character"
        ")",
        "^This name could be taken for ",
        "^Give it a name",
        # What a domain may be and how long its ASCII form is, by IDNA.
        "Check the part after the @",
        "^The address is too long",
        # A text is counted in NFC and without what is invisible.
        "^A name has at most 80 characters",
        "^A message has at most 500 characters",
        # The settings of a deployment name its plans and areas.
        "There is no such plan",
        "There is no such area",
        # A time is compared with the clock.
        "The end date must lie",
        "Say when the payment succeeded or failed",
        # The role or the kind of the member decides what else a call can have.
        "Owners and admins have every area",
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
    said = [e["message"] for e in problem.get("errors", [])] or [problem["detail"]]
    unknown = [sentence for sentence in said if not any(reason.search(sentence) for reason in REASONS)]
    if unknown:
        raise AssertionError("A valid call was refused for its form: " + json.dumps(problem))


@schemathesis.check
def right_token_is_known(context, response, case):
    """A valid call with the token that its operation takes is never refused for the token."""
    if response.status_code != 401 or not is_positive(case):
        return
    takes = any(WORLD["scheme"] in scheme for scheme in operation_of(case)["security"])
    sent = response.request.headers.get("Authorization") == "Bearer " + os.environ["HUB_CALLER_TOKEN"]
    if takes and sent:
        raise AssertionError("A valid token was refused: " + response.text)
