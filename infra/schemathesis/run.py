"""Tests the API by its own description: infra/schemathesis/run.py [--long] [--caller NAME].

Starts a stack of its own on free ports, with an empty folder, and has schemathesis call every
operation of the served document as five callers, each in accounts of its own. Prints the figures.
"""

import argparse
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

# The callers, and who each is in its own world.
# The callers: who each is in its own world, and the groups of operations of which the short form
# tries every bound as this caller.
CALLERS = {
    "owner": ("cleo", ["accounts", "team", "billing"]),  # owns accounts that an agency works for
    "agency-admin": ("ben", ["clients", "connections"]),
    "staff": ("cid", ["access"]),  # a member of the agency with two areas and some of its clients
    "stranger": ("nick", ["approvals"]),  # signed in and invited, and otherwise in no account
    "platform": (None, ["platform"]),  # the platform's own software
}

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


def world(stack, caller):
    """Makes people and accounts in every state, and returns them with their ids."""
    people = {name: Person(stack, f"{name}@{caller}.test") for name in ("ann", "ben", "cid", "cleo", "mia", "nick")}
    ann, ben, cid, cleo, mia, nick = people.values()
    ids = {name: p.call("GET", "/v1/me")["id"] for name, p in people.items()}

    agencies = [ann.opens("Bright Agency"), ann.opens("Second Agency")]
    for agency in agencies:
        ann.call("POST", f"/v1/accounts/{agency}/agency")
    shops = [cleo.opens(f"Shop {i}") for i in range(8)]
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

    def joins(person, account, by, **terms):
        request = by.call("POST", f"/v1/accounts/{account}/team", {"email": person.address, **terms})["request"]
        person.call("POST", f"/v1/me/invitations/{account}/accept", {"request": request})

    some = {"pages": "edit", "mail": "view"}
    joins(ben, agencies[0], ann, role="admin")
    joins(cid, agencies[0], ann, role="member", areas=some)
    for shop in shops:
        joins(mia, shop, cleo, role="member", areas=some)
    cleo.call("POST", f"/v1/accounts/{shops[3]}/team", {"email": nick.address, "role": "admin"})
    cleo.call("POST", f"/v1/accounts/{shops[4]}/team", {"email": nick.address, "role": "member", "areas": some})

    connections = []
    for shop in shops[:4]:
        request = ben.call("POST", f"/v1/agencies/{agencies[0]}/connections", {"account": shop, "areas": some})
        connections.append(request["id"])
    for shop in shops[:2]:
        cleo.call("POST", f"/v1/accounts/{shop}/team/{agencies[0]}/accept", {"request": 1})
    for client in (cleo, nick):
        request = ben.call("POST", f"/v1/agencies/{agencies[0]}/connections", {"ownerEmail": client.address, "areas": some})
        connections.append(request["id"])
    ann.call("PATCH", f"/v1/accounts/{agencies[0]}/team/{ids['cid']}", {"clients": [shops[0], shops[1], owned[0]]})
    return {
        "accounts": shops[:6] * 2 + owned + agencies[:1],  # most calls are for those that people are in
        "spare": shops[6:],
        "agencies": agencies[:1],
        "isStaff": CALLERS[caller][0] in ("ben", "cid"),
        "persons": [ids[name] for name in ("mia", "nick", "mia", "nick", "cid", "cleo")],
        "connections": connections + [f"con_{account}_{agencies[0]}" for account in owned],
        "areas": [area["id"] for area in settings()["areas"]],
        "plans": [plan["id"] for plan in settings()["plans"]],
    }, people


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
        "--suppress-health-check=all",
        "--report=json",
        f"--report-json-path={report}",
        *arguments,
    ]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "HUB_WORLD": str(folder / "world.json")}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    (folder / (name + ".txt")).write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        print(done.stdout + done.stderr)
    return json.loads(report.read_text()) if report.exists() else None, done.returncode == 0


def runs(caller, long):
    """Returns the runs of a caller: their names, and schemathesis's arguments."""
    # Who erases their data makes no calls any more, so that comes last.
    rest, last = "--exclude-operation-id=erase-me", ["--phases=coverage", "--include-operation-id=erase-me"]
    if long:
        return {"all": ["--phases=examples,coverage,fuzzing,stateful", "--max-examples=30", rest], "erase": last}
    groups = [f"--include-tag={tag}" for tag in CALLERS[caller][1]]
    return {
        "coverage": ["--phases=coverage", rest, *groups],
        "fuzzing": ["--phases=fuzzing", "--max-examples=2", "--no-shrink", rest],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="more calls of every operation as everyone: some ten minutes")
    parser.add_argument("--caller", choices=CALLERS, action="append", help="this caller alone")
    options = parser.parse_args()
    # What was found stays where it can be read.
    reports = ROOT / ".local" / "schemathesis"
    shutil.rmtree(reports, ignore_errors=True)
    found = []
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
                token = people[who].token if who else stack.token("-platform")
                cases = accepted = 0
                for name, arguments in runs(caller, options.long).items():
                    report, is_fine = run(stack, token, own, name, arguments)
                    if not is_fine:
                        found.append(f"{caller} ({name})")
                    if report:
                        cases += report["test_cases"]["generated"]
                        rates = report["valid_rates"].values()
                        accepted += sum(phase["accepted"] for rate in rates for phase in rate.values())
                print(f"{caller}: {cases} calls, {accepted} of them succeeded, {time.monotonic() - start:.0f} s", flush=True)
        finally:
            stack.stop()
    if found:
        sys.exit("schemathesis found something as " + ", ".join(found))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
