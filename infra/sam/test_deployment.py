"""Tests how an environment is deployed: the parameters' file, the commands of the workflows and of
infra/README.md, and what a restore needs of the template. Nothing is asked of AWS: the SAM
CLI gets an endpoint that nobody listens at. Run by make lint.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

import ruamel.yaml
from samcli.cli.types import CfnParameterOverridesType
from samtranslator.yaml_helper import yaml_parse

from test_template import ROOT, SOURCE

PARAMETERS = yaml_parse(SOURCE)["Parameters"]
README = (ROOT / "infra" / "README.md").read_text()
EXAMPLE = (ROOT / "infra" / "parameters" / "example.yaml").read_text()
WORKFLOWS = ROOT / ".github" / "workflows"


def workflow(name):
    return ruamel.yaml.YAML(typ="safe").load((WORKFLOWS / name).read_text())


def steps(name):
    return [step for job in workflow(name)["jobs"].values() for step in job.get("steps", [])]


def parameters(text):
    """Returns what SAM makes of a parameters' file."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "test.yaml"
        file.write_text(text)
        return CfnParameterOverridesType().convert(f"file://{file}", None, None)


def refused(name, value):
    """Reports whether CloudFormation refuses the value by the parameter's own rules."""
    p = PARAMETERS[name]
    if p["Type"] == "Number":
        return not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value) or not p.get("MinValue", 0) <= float(value) <= p.get("MaxValue", 1e9)
    if "AllowedValues" in p:
        return value not in p["AllowedValues"]
    return not re.fullmatch(p.get("AllowedPattern", ".*"), value) or len(value) > p.get("MaxLength", 4096)


class Parameters(unittest.TestCase):
    def test_empty_values(self):
        """infra/parameters/example.yaml and infra/README.md name what may not be left empty."""
        text = {name for name, p in PARAMETERS.items() if p["Type"] == "String" and "AllowedValues" not in p}
        self.assertEqual({name for name in text if refused(name, "")}, {"PublicUrl", "SenderAddress"})

    def test_the_example(self):
        """With an address of the sender it can be deployed as it is, and so can each of its lines that
        are comments."""
        filled = EXAMPLE.replace("SenderAddress:", "SenderAddress: hub@example.com")
        every = re.sub(r"(?m)^# ([A-Z][A-Za-z]+:)", r"\1", filled)
        self.assertGreater(len(parameters(every)), len(parameters(filled)))
        for name, value in parameters(filled).items():
            self.assertFalse(refused(name, value), f"{name}: {value!r}")
        for name, value in parameters(every).items():
            self.assertIn(name, PARAMETERS)
            if value:
                self.assertFalse(refused(name, value), f"{name}: {value!r}")
        self.assertEqual(json.loads(parameters(every)["SettingsOverride"]), {"requestLifetime": "168h"})

    def test_settings_without_quotes(self):
        """YAML reads JSON without quotes around it as a mapping, which SAM writes as Python does: the
        functions could not read that."""
        for text, wrong in {
            """SettingsOverride: {"requestLifetime":"168h"}""": True,
            """SettingsOverride: {requestLifetime: 168h}""": True,
            """SettingsOverride: {"limits": {"dailyRequests": 5}}""": True,
            """SettingsOverride: 'requestLifetime'""": True,
            """SettingsOverride: '{requestLifetime: 1}'""": True,
            """SettingsOverride: '{"requestLifetime":"168h"}'""": False,
            """SettingsOverride: '{ "limits" : {"dailyRequests": 5} }'""": False,
            """SettingsOverride: '{}'""": False,
            """SettingsOverride: {}""": False,
            """SettingsOverride:""": False,
        }.items():
            with self.subTest(text):
                value = parameters(text)["SettingsOverride"]
                self.assertEqual(refused("SettingsOverride", value), wrong, value)
                if value and not wrong:
                    json.loads(value)

    def test_one_execution_in_the_background(self):
        """One execution a function is too few, and 0 is no limit."""
        rule = yaml_parse(SOURCE)["Rules"]["BackgroundIsEnough"]["Assertions"]
        self.assertEqual([a["Assert"] for a in rule], [{"Fn::Not": [{"Fn::Equals": [{"Ref": "BackgroundConcurrency"}, "1"]}]}])


class Commands(unittest.TestCase):
    def deployment(self, command, environment):
        """Returns what a command says that deploys a build, in a folder as the workflow has it."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            nobody = f"http://127.0.0.1:{s.getsockname()[1]}"
        with tempfile.TemporaryDirectory() as folder:
            at = pathlib.Path(folder)
            (at / ".aws-sam" / "build").mkdir(parents=True)
            (at / "infra" / "parameters").mkdir(parents=True)
            shutil.copy(ROOT / "samconfig.toml", at)
            shutil.copy(ROOT / "template.yaml", at)
            shutil.copy(ROOT / "template.yaml", at / ".aws-sam" / "build")
            (at / "infra" / "parameters" / f"{environment}.yaml").write_text("SenderAddress: hub@example.com\n")
            env = {
                "PATH": os.environ["PATH"], "HOME": folder, "ENVIRONMENT": environment, "SAM_CLI_TELEMETRY": "0",
                "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
                "AWS_ENDPOINT_URL": nobody, "AWS_MAX_ATTEMPTS": "1",
            }
            done = subprocess.run(["bash", "-e", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=120)
            return done.stdout + done.stderr, nobody

    def test_each_deployment_comes_as_far_as_aws(self):
        """What is missing in a command or in samconfig.toml stops it before its first call."""
        pipeline = [s["run"] for s in steps("environment.yml") if s.get("run", "").startswith("sam deploy ")]
        self.assertEqual(len(pipeline), 1)
        by_hand = re.search(r"sam build && (sam deploy --config-env test)\n", README).group(1)
        runs = [(pipeline[0], "test"), (pipeline[0], "production"), (by_hand, "test")]
        # The SAM CLI waits more than it computes.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            results = list(pool.map(lambda run: self.deployment(*run), runs))
        for (command, environment), (said, nobody) in zip(runs, results, strict=True):
            with self.subTest(command, environment=environment):
                self.assertIn(f'Could not connect to the endpoint URL: "{nobody}', said)

    def test_a_command_without_a_stack_stops_before(self):
        said, _ = self.deployment("sam deploy --config-env another", "test")
        self.assertNotIn("Could not connect", said)

    def test_the_parameters_of_the_pipeline(self):
        """They are a secret, and no address of them is printed but to mask it."""
        step, = [s for s in steps("environment.yml") if s.get("name") == "Parameters"]
        self.assertEqual(step["env"], {"PARAMETERS": "${{ secrets.PARAMETERS }}"})
        given = "SenderAddress: hub@example.com\nAlarmEmail: 'ops@example.org'\nBusReaders: '111122223333'"
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "infra" / "parameters").mkdir(parents=True)

            def run(value):
                env = {"PATH": os.environ["PATH"], "ENVIRONMENT": "test", "PARAMETERS": value}
                return subprocess.run(["bash", "-e", "-c", step["run"]], cwd=folder, env=env, capture_output=True, text=True)

            done = run(given)
            self.assertEqual((done.returncode, done.stdout.split()), (0, ["::add-mask::hub@example.com", "::add-mask::ops@example.org"]))
            self.assertEqual((pathlib.Path(folder) / "infra" / "parameters" / "test.yaml").read_text(), given + "\n")
            self.assertEqual(run("Protect: 'true'").returncode, 0, "parameters without an address")
            self.assertEqual(run("").returncode, 1, "no parameters")


class Pipeline(unittest.TestCase):
    def test_what_is_deployed_is_tested(self):
        """A build needs the checks of its own commit, test needs the build, production needs test."""
        jobs = workflow("deploy.yml")["jobs"]
        self.assertEqual({name: job.get("needs") for name, job in jobs.items()}, {"ci": None, "build": "ci", "test": "build", "production": "test"})
        self.assertEqual(jobs["ci"]["uses"], "./.github/workflows/ci.yml")
        self.assertIn("workflow_call", workflow("ci.yml")["on"])
        self.assertIn("bash .ci/run", [s.get("run") for s in steps("ci.yml")])

    def test_a_waiting_approval_blocks_its_environment_alone(self):
        self.assertNotIn("concurrency", workflow("deploy.yml"))
        self.assertEqual(workflow("environment.yml")["jobs"]["deploy"]["concurrency"], {"group": "deploy-${{ inputs.environment }}", "cancel-in-progress": False})


class Restore(unittest.TestCase):
    def test_what_the_runbook_takes_for_granted(self):
        """infra/README.md, Restore the table: a table that is removed from the stack stays, and
        the template is too large for a call."""
        table, = [r for r in yaml_parse(SOURCE)["Resources"].values() if r["Type"] == "AWS::DynamoDB::Table"]
        self.assertIn(table["DeletionPolicy"], ["Retain", "RetainExceptOnCreate"])
        self.assertGreater(len(SOURCE.encode()), 51_200)


if __name__ == "__main__":
    unittest.main()
