"""Tests template.yaml as CloudFormation gets it: translated by SAM's own translator, it is within
AWS's limits, and it has what the decisions on its deployment rest on. Run by make lint.

The limits are those of AWS's documents (quotas of CloudFormation, Lambda, IAM, API Gateway and
EventBridge) as of November 2026.
"""

import collections
import copy
import functools
import json
import logging
import os
import pathlib
import re
import unittest

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

logging.getLogger("samtranslator").setLevel(logging.ERROR)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCE = (ROOT / "template.yaml").read_text()

# How long a parameter's value can be where the template sets no MaxLength.
PARAMETER = 4096

# The stack's UUID, the last part of its id.
STACK_UUID = {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}


class NoPolicies:
    """Stands for AWS's list of managed policies, of which the template names none."""

    def load(self):
        return {}


@functools.cache
def whole():
    return translate()


def translated():
    """Returns the template that SAM makes of template.yaml with the defaults of its parameters."""
    return copy.deepcopy(whole())


def translate(code="s3://bucket/build", parameters=None, change=None):
    """Returns the template that SAM makes of template.yaml, in which all functions have this code. The
    change is made to template.yaml first."""
    source = yaml_parse(SOURCE)
    source["Globals"]["Function"]["CodeUri"] = code
    if change:
        change(source)
    values = {name: p["Default"] for name, p in source["Parameters"].items() if "Default" in p}
    values |= {"SenderAddress": "hub@example.com"} | (parameters or {})
    return transform(source, values, NoPolicies())


def of(template, kind):
    return {id: r["Properties"] for id, r in template["Resources"].items() if r["Type"] == kind}


def size(value):
    """The length of a policy or pattern without white space, as IAM counts it."""
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def longest(template, value):
    """The greatest length of a string once CloudFormation has resolved it. What is neither a
    parameter nor text is taken to have 128 characters, the length of the longest stack's name."""
    if isinstance(value, str):
        return len(value.encode())
    (name, argument), = value.items()
    if name == "Ref" and argument in template["Parameters"]:
        p = template["Parameters"][argument]
        if "AllowedValues" in p:
            return max(len(str(v)) for v in p["AllowedValues"])
        return int(p.get("MaxLength", PARAMETER))
    if name == "Fn::If":
        return max(longest(template, branch) for branch in argument[1:])
    if name == "Fn::Sub":
        text, names = argument if isinstance(argument, list) else (argument, {})
        held = re.findall(r"\$\{([^!}]+)\}", text)
        return len(re.sub(r"\$\{[^!}]+\}", "", text).encode()) + sum(longest(template, names.get(n, {"Ref": n})) for n in held)
    if value == STACK_UUID:
        return 36
    return 128


def environment(template, function):
    return sum(len(name) + longest(template, value) for name, value in function.get("Environment", {}).get("Variables", {}).items())


def routes(template):
    return [sum(len([m for m in methods if m != "parameters"]) for methods in api["Body"]["paths"].values()) for api in of(template, "AWS::ApiGatewayV2::Api").values()]


def inline_policies(template):
    return [sum(size(p["PolicyDocument"]) for p in role.get("Policies", [])) for role in of(template, "AWS::IAM::Role").values()]


def permissions(template):
    """The length of each function's resource policy, at 500 bytes a statement."""
    callers = collections.Counter(json.dumps(p["FunctionName"]) for p in of(template, "AWS::Lambda::Permission").values())
    return [500 * n for n in callers.values()]


def filters(template):
    return [len(f["Pattern"]) for m in of(template, "AWS::Lambda::EventSourceMapping").values() for f in m["FilterCriteria"]["Filters"]]


def descriptions(template, kind, name="Description"):
    return [len(p[name].encode()) for p in of(template, kind).values() if name in p]


def log_groups(template):
    return [longest(template, g["LogGroupName"]) for g in of(template, "AWS::Logs::LogGroup").values()]


# What is measured, and AWS's limit: the largest of each must not be above it.
LIMITS = {
    "resources of a template": (lambda t: [len(t["Resources"])], 500),
    "parameters of a template": (lambda t: [len(t["Parameters"])], 200),
    "outputs of a template": (lambda t: [len(t["Outputs"])], 200),
    "bytes of a template by URL": (lambda t: [len(json.dumps(t, ensure_ascii=False).encode()), len(SOURCE.encode())], 1_048_576),
    "bytes of the template's description": (lambda t: [len(t["Description"].encode())], 1024),
    "letters of a logical id": (lambda t: [len(id) for id in t["Resources"]], 255),
    "bytes of a parameter's description": (lambda t: [len(p.get("Description", "").encode()) for p in t["Parameters"].values()], 4000),
    "bytes of an output's description": (lambda t: [len(o.get("Description", "").encode()) for o in t["Outputs"].values()], 1024),
    "bytes of a function's environment": (lambda t: [environment(t, f) for f in of(t, "AWS::Lambda::Function").values()], 4096),
    "letters of a function's description": (lambda t: descriptions(t, "AWS::Lambda::Function"), 256),
    "bytes of a function's resource policy": (permissions, 20_480),
    "letters of a stream filter": (filters, 4096),
    "filters of an event source": (lambda t: [len(m["FilterCriteria"]["Filters"]) for m in of(t, "AWS::Lambda::EventSourceMapping").values()], 5),
    "routes of an API": (routes, 300),
    "authorizers of an API": (lambda t: [len(a["Body"]["components"]["securitySchemes"]) for a in of(t, "AWS::ApiGatewayV2::Api").values()], 10),
    "bytes of an API's definition": (lambda t: [size(a["Body"]) for a in of(t, "AWS::ApiGatewayV2::Api").values()], 6_291_456),
    "letters of a role's inline policies": (inline_policies, 10_240),
    "letters of a managed policy": (lambda t: [size(p["PolicyDocument"]) for p in of(t, "AWS::IAM::ManagedPolicy").values()], 6144),
    "managed policies of a role": (lambda t: [len(r.get("ManagedPolicyArns", [])) for r in of(t, "AWS::IAM::Role").values()], 10),
    "letters of a log group's name": (log_groups, 512),
    "letters of a rule's pattern": (lambda t: [size(r["EventPattern"]) for r in of(t, "AWS::Events::Rule").values()], 2048),
    "letters of a bus's policy": (lambda t: [size(p["Statement"]) + longest(t, {"Ref": "BusReaders"}) for p in of(t, "AWS::Events::EventBusPolicy").values()], 10_240),
    "letters of an alarm's description": (lambda t: descriptions(t, "AWS::CloudWatch::Alarm", "AlarmDescription"), 1024),
    "letters of the sign-in's domain": (lambda t: [longest(t, d["Domain"]) for d in of(t, "AWS::Cognito::UserPoolDomain").values()], 63),
}


def over(template):
    """Returns what is above its limit."""
    return [what for what, (measure, limit) in LIMITS.items() if max(measure(template), default=0) > limit]


def alarm_metrics(template):
    """How many metrics CloudWatch charges for: an alarm with an expression counts each metric of it."""
    return sum(max(1, sum("MetricStat" in m for m in alarm.get("Metrics", []))) for alarm in of(template, "AWS::CloudWatch::Alarm").values())


class Limits(unittest.TestCase):
    def test_within(self):
        template = translated()
        figures = []
        for what, (measure, limit) in LIMITS.items():
            measured = max(measure(template), default=0)
            figures.append((measured / limit, f"{what} {measured} of {limit}"))
            with self.subTest(what):
                self.assertGreater(measured, 0, "nothing is measured")
                self.assertLessEqual(measured, limit)
        print("figure: nearest to a limit:", ", ".join(text for _, text in sorted(figures, reverse=True)[:5]))

    def test_a_template_over_a_limit_is_found(self):
        # Each change puts the template over the limits named.
        changes = {
            "resources of a template": lambda t: t["Resources"].update({f"Topic{i}": {"Type": "AWS::SNS::Topic", "Properties": {}} for i in range(500)}),
            "parameters of a template": lambda t: t["Parameters"].update({f"P{i}": {"Type": "String"} for i in range(200)}),
            "outputs of a template": lambda t: t["Outputs"].update({f"O{i}": {"Value": "x"} for i in range(200)}),
            "bytes of a template by URL": lambda t: t.update({"Metadata": "x" * 1_048_576}),
            "bytes of a function's environment": lambda t: t["Parameters"]["SettingsOverride"].update({"MaxLength": 4000}),
            "bytes of a function's resource policy": lambda t: t["Resources"].update({f"Call{i}": {"Type": "AWS::Lambda::Permission", "Properties": {"FunctionName": "f"}} for i in range(41)}),
            "routes of an API": lambda t: t["Resources"]["Api"]["Properties"]["Body"]["paths"].update({f"/{i}": {"get": {}} for i in range(300)}),
            "letters of a role's inline policies": lambda t: t["Resources"]["NotifyRole"]["Properties"]["Policies"].append({"PolicyDocument": "x" * 10_240}),
            "letters of the sign-in's domain": lambda t: t["Resources"]["UserPoolDomain"]["Properties"].update({"Domain": {"Fn::Sub": "hub-${AWS::StackName}"}}),
            "letters of a log group's name": lambda t: t["Resources"]["NotifyLogGroup"]["Properties"].update({"LogGroupName": "x" * 513}),
        }
        for what, change in changes.items():
            with self.subTest(what):
                template = translated()
                change(template)
                self.assertIn(what, over(template))


class Decisions(unittest.TestCase):
    def test_no_fail_on_warnings(self):
        """infra/decisions/0020: SAM writes a server without a URL, of which the import warns."""
        api = translated()["Resources"]["Api"]["Properties"]
        self.assertFalse("FailOnWarnings" in api, "the import has a warning, so the deployment would fail")
        for server in api["Body"]["servers"]:
            self.assertNotIn("url", server, "SAM writes a URL now: think again about FailOnWarnings")

    def test_a_parameter_alone_publishes_no_version(self):
        """infra/decisions/0021: SAM names a version after the text of its function's properties."""

        def gradual(source):
            source["Globals"]["Function"].update({"AutoPublishAlias": "live", "AutoPublishAliasAllProperties": True})

        def versions(**build):
            return set(of(translate(change=gradual, **build), "AWS::Lambda::Version"))

        first = versions()
        self.assertEqual(len(first), len(of(translated(), "AWS::Lambda::Function")))
        self.assertFalse(first & versions(code="s3://bucket/another"), "a build with other code publishes nothing")
        another = {"PublicUrl": "https://hub.example.com", "SettingsOverride": '{"requestLifetime":"168h"}', "LogRetentionDays": 90}
        self.assertEqual(first, versions(parameters=another), "a parameter alone publishes a version now: think again about gradual deployment")

    def test_what_is_billed_at_rest(self):
        """infra/README.md, Cost, says how many metrics the alarms have."""
        readme = (ROOT / "infra" / "README.md").read_text()
        said = re.search(r"(\d+) metrics in (\d+) alarms", readme)
        template = translated()
        self.assertEqual((alarm_metrics(template), len(of(template, "AWS::CloudWatch::Alarm"))), tuple(map(int, said.groups())))


class Queries(unittest.TestCase):
    def test_their_parameters(self):
        """Logs Insights asks for the parameters that a query declares, and fills in no other."""
        declared = 0
        for id, q in of(translated(), "AWS::Logs::QueryDefinition").items():
            names = [p["Name"] for p in q.get("Parameters", [])]
            self.assertEqual(sorted(set(re.findall(r"\{\{(.*?)\}\}", q["QueryString"]))), sorted(names), id)
            declared += len(names)
        self.assertGreater(declared, 0)


class Mail(unittest.TestCase):
    def test_event_types(self):
        """SES's events are named as CloudFormation has always taken them, and the rule of delivery
        takes each of them."""
        template = translated()
        named = template["Resources"]["MailEvents"]["Properties"]["EventDestination"]["MatchingEventTypes"]
        rules = [r["EventPattern"]["detail"]["eventType"] for r in of(template, "AWS::Events::Rule").values()]
        self.assertEqual(rules, [[name[0].upper() + name[1:] for name in named]])
        self.assertLessEqual(set(named), {"send", "reject", "bounce", "complaint", "delivery", "open", "click", "renderingFailure", "deliveryDelay", "subscription"})

    def test_the_sandbox(self):
        """In SES's sandbox a call is authorized on the recipient's identity too."""
        sends = [s for p in translated()["Resources"]["NotifyRole"]["Properties"]["Policies"] for s in p["PolicyDocument"]["Statement"] if s["Action"] == "ses:SendEmail"]
        self.assertEqual(len(sends), 1)
        ses = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:"
        self.assertEqual(sends[0]["Resource"], [{"Fn::Sub": ses + "identity/*"}, {"Fn::Sub": ses + "configuration-set/${MailConfiguration}"}])
        self.assertEqual(sends[0]["Condition"], {"StringEquals": {"ses:FromAddress": {"Ref": "SenderAddress"}}})


if __name__ == "__main__":
    unittest.main()
