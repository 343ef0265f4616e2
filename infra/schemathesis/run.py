"""Tests the API by its own description: infra/schemathesis/run.py [--long] [--caller NAME].

Starts a stack of its own on free ports, with an empty folder, and has schemathesis call every
operation of the served document as six callers, each in accounts of its own. Prints the figures.
Fails where schemathesis finds something, and for an operation of which no valid call succeeded.
"""

import argparse
import collections
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SEED = 20301

# The callers: who each is in its own world, and the operations of which the short form tries every
# bound as this caller, as schemathesis's filters.
CALLERS = {
    # Owns accounts that an agency works for.
    "owner": ("cleo", ["tag=accounts", "tag=team", "tag=billing", "tag=approvals"]),
    "agency-owner": ("ann", ["tag=clients", "operation-id=see-bill"]),
    "agency-admin": ("ben", ["tag=connections"]),
    # A member of the agency with two areas and some of its clients.
    "staff": ("cid", ["tag=access"]),
    # Signed in and invited, and otherwise in no account.
    "stranger": ("nick", ["tag=approvals"]),
    # The platform's own software.
    "platform": (None, ["tag=platform"]),
}

# How many valid calls of an operation find something that they can close, remove or answer.
USES = 3

# Limits that no run reaches.
SETTINGS = {
    "pairMails": 100,
    "resendAfter": "1s",
    "openRequests": 10000,
    "dailyRequests": 10000,
    "openInvitations": 10000,
    "unsolicitedMails": {"all": 1000, "bySender": 1000, "byAccount": 1000, "neverSignedIn": 1000},
}
for limits in ("dailyByPerson", "dailyByNewPerson"):
    SETTINGS[limits] = {name: 10000 for name in ("accountsOpened", "accountsCreated", "requests", "invitations")}


class Stack:
    """A stack of the product that runs until it is stopped."""

    def __init__(self, folder):
        self.folder = folder
        self.runner = os.path.join(folder, "local")
        subprocess.run(["go", "build", "-o", self.runner, "./infra/local"], cwd=ROOT, check=True)
        arguments = [self.runner, "run", "-data", folder, "-schedules=false"]
        for port in ("http", "ses", "oidc", "dynamodb"):
            arguments += ["-" + port, "0"]
        arguments += ["-set", "SettingsOverride=" + json.dumps(SETTINGS)]
        for parameter in throttling():
            arguments += ["-set", parameter + "=5000"]
        self.log = open(os.path.join(folder, "stack.log"), "w")
        self.process = subprocess.Popen(arguments, cwd=ROOT, stdout=self.log, stderr=subprocess.STDOUT)

    def wait(self):
        deadline = time.monotonic() + 120
        state = os.path.join(self.folder, "stack.json")
        while not os.path.exists(state):
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit("The stack does not start:\n" + pathlib.Path(self.log.name).read_text()[-3000:])
            time.sleep(0.1)
        self.url = json.loads(pathlib.Path(state).read_text())["publicUrl"]

    def token(self, *who):
        command = [self.runner, "token", "-data", self.folder, *who]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


def throttling():
    """Returns the template's parameters of throttling."""
    lines = (ROOT / "template.yaml").read_text().splitlines()
    start = lines.index("Parameters:")
    names = (line.strip().rstrip(":") for line in lines[start:] if line.startswith("  ") and line[2:3].isalpha())
    return [name for name in names if name.endswith(("RateLimit", "BurstLimit"))]


class Person:
    """Somebody who makes calls."""

    def __init__(self, stack, address):
        self.stack, self.address, self.token = stack, address, stack.token(address)

    def call(self, method, path, body=None, key=None):
        headers = {"Authorization": "Bearer " + self.token}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key:
            headers["Idempotency-Key"] = key
        request = urllib.request.Request(
            self.stack.url + path, method=method, headers=headers, data=None if body is None else json.dumps(body).encode()
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def opens(self, name):
        return self.call("POST", "/v1/accounts", {"name": name}, key=f"{self.address}-{name}-key".replace(" ", "-"))["id"]


# The areas of most members and connections.
SOME = {"pages": "edit", "mail": "view"}

# The agency's own people.
STAFF = ("ann", "ben", "cid")


class Spares:
    """Makes accounts of cleo, each in a state that one call can change."""

    def __init__(self, people, ids, agency):
        self.people, self.ids, self.agency = people, ids, agency

    def accounts(self, purpose, prepare=lambda account: None):
        accounts = [self.people["cleo"].opens(f"{purpose} {i}") for i in range(USES)]
        for account in accounts:
            prepare(account)
        return accounts

    def joins(self, person, account, by, **terms):
        request = by.call("POST", f"/v1/accounts/{account}/team", {"email": person.address, **terms})["request"]
        person.call("POST", f"/v1/me/invitations/{account}/accept", {"request": request})

    def asks(self, account, areas):
        return self.people["ben"].call("POST", f"/v1/agencies/{self.agency}/connections", {"account": account, "areas": areas})["id"]

    def pending(self, purpose):
        everything = {area["id"]: "edit" for area in settings()["areas"]}
        return self.accounts(purpose, lambda account: self.asks(account, everything))

    def switch_on(self, account):
        self.people["cleo"].call("POST", f"/v1/accounts/{account}/agency")

    def invite(self, name):
        terms = {"email": self.people[name].address, "role": "member", "areas": SOME}
        return lambda account: self.people["cleo"].call("POST", f"/v1/accounts/{account}/team", terms)

    def connect(self, account):
        self.asks(account, SOME)
        self.people["cleo"].call("POST", f"/v1/accounts/{account}/team/{self.agency}/accept", {"request": 1})

    def join(self, account):
        self.joins(self.people["mia"], account, self.people["cleo"], role="member", areas=SOME)

    def connection(self, account):
        return f"con_{account}_{self.agency}"


def world(stack, caller):
    """Makes people and accounts in every state, and returns them with their ids."""
    people = {name: Person(stack, f"{name}@{caller}.test") for name in ("ann", "ben", "cid", "cleo", "mia", "nick")}
    ann, ben, cid, cleo, mia, nick = people.values()
    ids = {name: p.call("GET", "/v1/me")["id"] for name, p in people.items()}

    agencies = [ann.opens("Bright Agency"), ann.opens("Second Agency")]
    for agency in agencies:
        ann.call("POST", f"/v1/accounts/{agency}/agency")
    shops = [cleo.opens(f"Shop {i}") for i in range(6)]
    owned = [
        ann.call(
            "POST",
            f"/v1/agencies/{agencies[0]}/accounts",
            {
                "name": f"Owned {i}",
                "plan": "starter",
                "confirmPermanentOwnership": True,
                "client": {"email": client.address, "areas": {"pages": "edit"}},
            },
            key=f"{caller}-owned-{i}-of-the-agency",
        )["id"]
        for i, client in enumerate((cleo, nick))
    ]

    spares = Spares(people, ids, agencies[0])
    spares.joins(ben, agencies[0], ann, role="admin")
    spares.joins(cid, agencies[0], ann, role="member", areas=SOME)
    for shop in shops:
        spares.joins(mia, shop, cleo, role="member", areas=SOME)
    cleo.call("POST", f"/v1/accounts/{shops[3]}/team", {"email": nick.address, "role": "admin"})
    cleo.call("POST", f"/v1/accounts/{shops[4]}/team", {"email": nick.address, "role": "member", "areas": SOME})

    agency = agencies[0]
    connections = [spares.asks(shop, SOME) for shop in shops[:4]]
    for shop in shops[:2]:
        cleo.call("POST", f"/v1/accounts/{shop}/team/{agency}/accept", {"request": 1})
    for client in (cleo, nick):
        request = ben.call("POST", f"/v1/agencies/{agency}/connections", {"ownerEmail": client.address, "areas": SOME})
        connections.append(request["id"])
    ann.call("PATCH", f"/v1/accounts/{agency}/team/{ids['cid']}", {"clients": [shops[0], shops[1], owned[0]]})

    who = CALLERS[caller][0]
    closed = spares.accounts("Closed")
    return {
        "accounts": shops * 2 + owned + agencies[:1],  # most calls are for those that people are in
        "together": together(spares, who, shops, closed, connections),
        "closed": closed,  # calls that are not led to others close these
        "agencies": agencies[:1],
        "isStaff": who in STAFF,
        "scheme": "oidc" if who else "platform",
        "persons": [ids[name] for name in ("mia", "nick", "mia", "nick", "cid", "cleo")],
        "connections": connections + [spares.connection(account) for account in owned],
        "areas": [area["id"] for area in settings()["areas"]],
        "plans": [plan["id"] for plan in settings()["plans"]],
    }, people


def together(spares, who, shops, closed, connections):
    """Returns values of a call that go together, by operations with which somebody can succeed."""
    agency, mia = spares.agency, spares.ids["mia"]
    if who == "cleo":
        return {
            "close-account": [{"account": a} for a in closed],
            "switch-agency-off": [{"account": a} for a in spares.accounts("Off", spares.switch_on)],
            "remove-member": [{"account": a, "member": mia} for a in spares.accounts("Removed", spares.join)],
            "change-member": [{"account": shops[0], "member": mia}, {"account": shops[0], "member": agency}],
            "ask-new-sign-in": [{"account": a, "member": mia} for a in spares.accounts("New sign-in", spares.join)],
            "resend-invitation": [{"account": a, "member": mia} for a in spares.accounts("Resent", spares.invite("mia"))],
            "withdraw-invitation": [{"account": a, "member": mia} for a in spares.accounts("Withdrawn", spares.invite("mia"))],
            "accept-request": [{"account": a, "member": agency, "request": 1} for a in spares.pending("Accepted")],
            "decline-request": [{"account": a, "member": agency, "request": 1} for a in spares.pending("Declined")],
            "unblock-agency": [{"account": shops[0], "member": agency}],
            "list-blocks": [{"account": shops[0]}],
            "accept-request-into": [{"id": spares.connection(a), "account": a, "request": 1} for a in spares.pending("Accepted into")],
            "decline-request-by-id": [{"id": spares.connection(a), "request": 1} for a in spares.pending("Declined by id")],
            "see-account": [{"account": shops[0]}],
            "list-activity": [{"account": shops[0]}],
            "list-team": [{"account": shops[0]}],
            "see-subscription": [{"account": shops[0]}],
        }
    if who == "nick":
        return {
            "see-invitation": [{"account": a} for a in shops[3:5]],
            "accept-invitation": [{"account": a, "request": 1} for a in spares.accounts("Joined", spares.invite("nick"))],
            "decline-invitation": [{"account": a, "request": 1} for a in spares.accounts("Refused", spares.invite("nick"))],
        }
    if who in STAFF:
        return {
            "see-connection": [{"agency": agency, "id": connections[0]}],
            "leave-account": [{"agency": agency, "id": spares.connection(a)} for a in spares.accounts("Left", spares.connect)],
            "resend-request": [{"agency": agency, "id": spares.connection(a)} for a in spares.pending("Asked again")],
            "withdraw-request": [{"agency": agency, "id": spares.connection(a)} for a in spares.pending("Taken back")],
            "list-clients": [{"agency": agency}],
            "list-agency-activity": [{"agency": agency}],
            "see-bill": [{"agency": agency}],
        }
    return {
        "register-account": [{}],  # an account that is new
        "replace-owner": [{"account": a, "from": spares.people["cleo"].address} for a in spares.accounts("Replaced")],
    }


def settings():
    return json.loads((ROOT / "shared" / "settings" / "settings.json").read_text())


def run(stack, token, folder, name, arguments):
    """Runs schemathesis as one caller. Returns its report, and whether it found nothing."""
    report = folder / (name + ".json")
    command = [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"),
        f"--config-file={HERE / 'schemathesis.toml'}",
        "run",
        stack.url + "/v1/openapi.yaml",
        "--header=Authorization: Bearer " + token,
        "--checks=all",
        f"--seed={SEED}",
        "--no-color",
        "--continue-on-failure",
        # Forms that few generated values have, such as addresses by IDNA, are slow and no error.
        "--suppress-health-check=all",
        "--report=json",
        f"--report-json-path={report}",
        *arguments,
    ]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "HUB_WORLD": str(folder / "world.json"), "HUB_CALLER_TOKEN": token}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    (folder / (name + ".txt")).write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        print(done.stdout + done.stderr)
    return json.loads(report.read_text()) if report.exists() else None, done.returncode == 0


def runs(caller, long):
    """Returns the runs of a caller: their names, and schemathesis's arguments."""
    # Who erases their data makes no calls any more, so that comes last. It is mia, who owns nothing.
    rest, last = "--exclude-operation-id=erase-me", ["--phases=coverage", "--include-operation-id=erase-me"]
    if long:
        return {"all": ["--phases=examples,coverage,fuzzing,stateful", "--max-examples=30", rest], "erase": last}
    depth = {
        "coverage": ["--phases=coverage", rest, *(f"--include-{chosen}" for chosen in CALLERS[caller][1])],
        "fuzzing": ["--phases=fuzzing", "--max-examples=2", "--no-shrink", rest],
    }
    return depth | {"erase": last} if caller == "stranger" else depth


def operations():
    """Returns the API's operations as schemathesis names them: METHOD /path."""
    return (ROOT / "shared" / "rest" / "routes.txt").read_text().splitlines()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="more calls of every operation as everyone: some ten minutes")
    parser.add_argument("--caller", choices=CALLERS, action="append", help="this caller alone")
    options = parser.parse_args()
    # What was found stays where it can be read.
    reports = ROOT / ".local" / "schemathesis"
    shutil.rmtree(reports, ignore_errors=True)
    found, succeeded = [], collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(folder)
        try:
            stack.wait()
            for caller in options.caller or CALLERS:
                start = time.monotonic()
                own = reports / caller
                own.mkdir(parents=True)
                state, people = world(stack, caller)
                (own / "world.json").write_text(json.dumps(state))
                who = CALLERS[caller][0]
                tokens = {"erase": people["mia"].token} if who else {}
                token = people[who].token if who else stack.token("-platform")
                cases = accepted = 0
                for name, arguments in runs(caller, options.long).items():
                    report, is_fine = run(stack, tokens.get(name, token), own, name, arguments)
                    if not is_fine:
                        found.append(f"{caller} ({name})")
                    if report:
                        cases += report["test_cases"]["generated"]
                        for operation, phases in report["valid_rates"].items():
                            number = sum(phase["accepted"] for phase in phases.values())
                            succeeded[operation] += number
                            accepted += number
                print(f"{caller}: {cases} calls, {accepted} of them succeeded, {time.monotonic() - start:.0f} s", flush=True)
        finally:
            stack.stop()
    complaints = ["schemathesis found something as " + ", ".join(found)] if found else []
    if not options.caller:
        complaints += [f"No valid call succeeded: {name}" for name in operations() if not succeeded[name]]
    if complaints:
        sys.exit("\n".join(complaints))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
