#!/usr/bin/env python3
"""Three testers side by side on one SCIM service provider: scim_bench.py BINARY RUNTIME_DIR.

RUNTIME_DIR is that of a running `fixtures/products/scim2-server/start.sh`; its proxy writes down one line per request, which is how requests are
counted, for every tester alike. BINARY is ipsie-conform, or `-` to leave it out. The other two, pinned in scim_bench.requirements.txt, are
installed once into ci/.venv. They take turns, and the median of their times counts. Prints Markdown tables. Exit code 1 when a tester could not
be run or a figure is above its limit.
"""
import collections
import json
import os
import pathlib
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import typing
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
VENV = HERE / ".venv"
TIMEOUT = 600
ROUNDS = 5
# Requests for each clause that is decided.
REQUESTS_EACH = 2.0
OURS, TESTER_NAME, SANITY_NAME = "ipsie-conform", "scim2-tester 0.5.2", "scim-sanity 0.7.4"

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

# Runs in the venv: scim-sanity, which takes its token as an argument only, without showing it to other users of the machine.
SANITY = """
import os, sys
from scim_sanity.cli import main
sys.exit(main(["probe", sys.argv[1], "--token", os.environ["SCIM_TOKEN"], "--ca-bundle", sys.argv[2], "--json-output", "--i-accept-side-effects"]))
"""


class Provider:
    """The running service provider."""

    def __init__(self, runtime):
        self.runtime = pathlib.Path(runtime).resolve()
        ready = (self.runtime / "ready").read_text(encoding="utf-8")
        target = self.target.read_text(encoding="utf-8")
        path = re.search(r'^base_url = "https://[^/]+(/.*)"$', target, re.MULTILINE).group(1)
        self.name = re.search(r'^name = "(.*)"$', target, re.MULTILINE).group(1)
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


class Measured(typing.NamedTuple):
    """What a tester did: words of its results, results that decide, requests, median seconds, resources that it left behind."""

    results: dict
    decided: int
    requests: int
    wall: float
    left: int

    @property
    def each(self):
        """Seconds for each result that decides."""
        return self.wall / self.decided


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


def in_venv(script, provider, codes):
    """Runs a script with the base URL, the authority and, in its environment, the token; its standard output as JSON."""
    command = [VENV / "bin/python", "-c", script, provider.base, provider.ca]
    return json.loads(call(command, codes, env=os.environ | {"SCIM_TOKEN": provider.token}))


def scim2_tester(provider):
    """Counts of its results; it decides what is no SKIPPED and no ACCEPTABLE."""
    counts = collections.Counter(in_venv(TESTER, provider, (0,)))
    return counts, sum(number for word, number in counts.items() if word in ("SUCCESS", "COMPLIANT", "ERROR", "CRITICAL", "DEVIATION"))


def scim_sanity(provider):
    """Counts of its results."""
    counts = collections.Counter(result["status"] for result in in_venv(SANITY, provider, (0, 1))["results"])
    return counts, sum(number for word, number in counts.items() if word in ("pass", "fail", "warn"))


def ipsie_conform(provider, binary):
    """Counts of its verdicts; decided is what it saw itself: statements of the operator are left out."""
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "run", "--role", "app", "--level", "AL3", "--target", provider.target, "--non-interactive", "--out", folder]
        call(command, (0, 1, 3))
        report = json.loads((pathlib.Path(folder) / "report.json").read_text(encoding="utf-8"))
    unplayed = [row["id"] for row in report["scenarios"] if row["outcome"] == "obstacle" and row["id"].startswith("scim-")]
    if report["faults"]:
        sys.exit(f"not measured: faults {report['faults']}, not played {unplayed}")
    counts = collections.Counter(row["verdict"] for row in report["clauses"])
    stated = re.findall(r'^\[attest\."([^"]+)"\]', provider.target.read_text(encoding="utf-8"), re.MULTILINE)
    decided = [row for row in report["clauses"] if row["verdict"] in ("pass", "fail", "warning") and row["id"] not in stated]
    return counts, len(decided)


def measure(binary, runtime):
    """Each tester in turn, several times: its name and what it did. A tester that decides or sends something else each time is not measured."""
    provider = Provider(runtime)
    install()
    testers = {TESTER_NAME: scim2_tester, SANITY_NAME: scim_sanity}
    if binary != "-":
        testers = {OURS: lambda at: ipsie_conform(at, binary), **testers}
    rounds = collections.defaultdict(list)
    for _ in range(ROUNDS):
        for name, tester in testers.items():
            held, sent, begin = provider.resources(), provider.requests(), time.monotonic()
            counts, decided = tester(provider)
            wall, sent = time.monotonic() - begin, provider.requests() - sent
            rounds[name].append(Measured(counts, decided, sent, wall, provider.resources() - held))
    out = {}
    for name, all_of_it in rounds.items():
        if len({(of_it.decided, of_it.left) for of_it in all_of_it}) != 1:
            sys.exit(f"not measured: the rounds of {name} differ: {all_of_it}")
        most = max(of_it.requests for of_it in all_of_it)
        out[name] = all_of_it[0]._replace(requests=most, wall=statistics.median(of_it.wall for of_it in all_of_it))
    return provider.name, out


def rows(target, measured):
    """Rows of the table of bench.py: what, measured, allowed, whether that is good."""
    ours, tester, sanity = (measured[name] for name in (OURS, TESTER_NAME, SANITY_NAME))
    each = ours.requests / ours.decided
    fast = min(tester.each / 2, sanity.each)
    shown = lambda seconds: f"{seconds * 1000:.1f} ms"  # noqa: E731
    return [
        (f"AL3, {target}, requests per clause decided ({ours.requests} for {ours.decided})", f"{each:.2f}", f"{REQUESTS_EACH:.1f}", each <= REQUESTS_EACH),
        (
            f"the same, wall per clause decided, median of {ROUNDS} (of {ours.wall:.2f} s)",
            shown(ours.each),
            f"{shown(fast)}: half of scim2-tester, and no more than scim-sanity",
            ours.each <= fast,
        ),
        *(
            (f"{name} on the same server, {of_it.decided} results, {of_it.requests} requests, wall {of_it.wall:.2f} s", f"{shown(of_it.each)} each", "-", True)
            for name, of_it in ((TESTER_NAME, tester), (SANITY_NAME, sanity))
        ),
        ("resources that the suite left behind there", str(ours.left), "0", ours.left == 0),
    ]


def table(figures):
    """Prints rows; true where all are good."""
    print("| what | measured | allowed |\n|---|---|---|")
    for what, value, limit, good in figures:
        print(f"| {what} | {value}{'' if good else ' **too much**'} | {limit} |")
    return all(row[3] for row in figures)


def main():
    """Prints the tables."""
    binary, runtime = sys.argv[1:3]
    target, measured = measure(binary, runtime)
    print("| tester | results | decided | requests | requests per decided | wall s | ms per decided | left behind |")
    print("|---|---|---|---|---|---|---|---|")
    for name, of_it in measured.items():
        results = ", ".join(f"{number} {word}" for word, number in sorted(of_it.results.items()))
        print(
            f"| {name} | {results} | {of_it.decided} | {of_it.requests} | {of_it.requests / of_it.decided:.2f} | {of_it.wall:.2f} "
            f"| {of_it.each * 1000:.1f} | {of_it.left} |"
        )
    if OURS in measured:
        print()
        sys.exit(0 if table(rows(target, measured)) else 1)


if __name__ == "__main__":
    main()
