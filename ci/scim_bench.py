#!/usr/bin/env python3
"""Three testers side by side on one SCIM service provider: scim_bench.py BINARY RUNTIME_DIR.

RUNTIME_DIR is that of a running `fixtures/products/scim2-server/start.sh`; its proxy writes down one line per request, which is how requests are
counted, for every tester alike. BINARY is ipsie-conform, or `-` to leave it out. The other two, pinned in scim_bench.requirements.txt, are
installed once into ci/.venv. Prints a Markdown table. Exit code 1 when a tester could not be run.
"""
import collections
import json
import os
import pathlib
import re
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
VENV = HERE / ".venv"
TIMEOUT = 600

# Runs in the venv: the results of scim2-tester as JSON.
TESTER = """
import collections, json, os, ssl, sys
from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import check_server
trust = ssl.create_default_context(cafile=sys.argv[2])
http = Client(base_url=sys.argv[1], headers={"Authorization": "Bearer " + os.environ["SCIM_TOKEN"]}, verify=trust)
client = SyncSCIMClient(http)
client.discover()
print(json.dumps(collections.Counter(result.status.name for result in check_server(client))))
"""


class Provider:
    """The running service provider."""

    def __init__(self, runtime):
        self.runtime = pathlib.Path(runtime).resolve()
        ready = (self.runtime / "ready").read_text(encoding="utf-8")
        path = re.search(r'^base_url = "https://[^/]+(/.*)"$', self.target.read_text(encoding="utf-8"), re.MULTILINE).group(1)
        # Its certificate is for localhost too: the other testers resolve no names of their own.
        self.base = f"https://localhost:{ready.split(':')[-1].strip()}{path}"
        self.ca = self.runtime / "ca.pem"
        self.token = (self.runtime / "scim.token").read_text(encoding="utf-8").strip()

    @property
    def target(self):
        """The target file."""
        return self.runtime / "target.toml"

    def requests(self):
        """How many requests it has answered so far."""
        with open(self.runtime / "requests", "rb") as log:
            return sum(1 for _ in log)

    def resources(self):
        """How many users and groups it holds."""
        total = 0
        for kind in ("Users", "Groups"):
            ask = urllib.request.Request(f"{self.base}/{kind}?count=0", headers={"Authorization": f"Bearer {self.token}"})
            with urllib.request.urlopen(ask, timeout=30, context=ssl.create_default_context(cafile=self.ca)) as answer:
                total += json.load(answer)["totalResults"]
        return total


def install():
    """The other two testers, once."""
    if (VENV / "installed").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    pip = [VENV / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*pip, "-r", HERE / "scim_bench.requirements.txt"], check=True)
    (VENV / "installed").touch()


def call(command, codes, **more):
    """Runs a tester; its standard output. Any other exit code ends the measurement."""
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=TIMEOUT, **more)
    if ended.returncode not in codes:
        sys.exit(f"not measured: exit code {ended.returncode} of {command[0]}\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return ended.stdout


def scim2_tester(provider):
    """Counts of its results; it decides what is no SKIPPED and no ACCEPTABLE."""
    said = call(
        [VENV / "bin/python", "-c", TESTER, provider.base, provider.ca], (0,), env=os.environ | {"SCIM_TOKEN": provider.token}
    )
    counts = collections.Counter(json.loads(said))
    return counts, sum(number for word, number in counts.items() if word in ("SUCCESS", "COMPLIANT", "ERROR", "CRITICAL", "DEVIATION"))


def scim_sanity(provider):
    """Counts of its results."""
    command = [VENV / "bin/scim-sanity", "probe", provider.base, "--token", provider.token, "--ca-bundle", provider.ca]
    report = json.loads(call([*command, "--json-output", "--i-accept-side-effects"], (0, 1)))
    counts = collections.Counter(result["status"] for result in report["results"])
    return counts, sum(number for word, number in counts.items() if word in ("pass", "fail", "warn"))


def ipsie_conform(provider, binary):
    """Counts of its verdicts; decided is what it saw itself: statements of the operator are left out."""
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "run", "--role", "app", "--level", "AL3", "--target", provider.target, "--non-interactive", "--out", folder]
        call(command, (0, 1, 3))
        report = json.loads((pathlib.Path(folder) / "report.json").read_text(encoding="utf-8"))
    if report["faults"]:
        sys.exit(f"not measured: faults {report['faults']}")
    counts = collections.Counter(row["verdict"] for row in report["clauses"])
    stated = re.findall(r'^\[attest\."([^"]+)"\]', provider.target.read_text(encoding="utf-8"), re.MULTILINE)
    decided = [row for row in report["clauses"] if row["verdict"] in ("pass", "fail", "warning") and row["id"] not in stated]
    return counts, len(decided)


def main():
    """Prints the table."""
    binary, runtime = sys.argv[1:3]
    provider = Provider(runtime)
    install()
    testers = [("scim2-tester 0.5.2", scim2_tester), ("scim-sanity 0.7.4", scim_sanity)]
    if binary != "-":
        testers.insert(0, ("ipsie-conform", lambda at: ipsie_conform(at, binary)))
    print("| tester | results | decided | requests | requests per decided | wall s | ms per decided | left behind |")
    print("|---|---|---|---|---|---|---|---|")
    for name, tester in testers:
        held, sent, begin = provider.resources(), provider.requests(), time.monotonic()
        counts, decided = tester(provider)
        wall, sent = time.monotonic() - begin, provider.requests() - sent
        results = ", ".join(f"{number} {word}" for word, number in sorted(counts.items()))
        print(
            f"| {name} | {results} | {decided} | {sent} | {sent / decided:.1f} | {wall:.1f} | {wall / decided * 1000:.0f} "
            f"| {provider.resources() - held} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
