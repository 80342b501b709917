# SPDX-License-Identifier: GPL-2.0-only
"""Results as KTAP lines, which tests/run counts."""


class Results:
    def __init__(self):
        self.count = 0
        self.failures = 0
        print("KTAP version 1", flush=True)

    def note(self, text):
        """Say something that is no result."""
        for line in str(text).splitlines():
            print(f"# {line}", flush=True)

    def case(self, ok, name, findings=()):
        """One result, and what speaks for a failure before it. Returns ok."""
        for finding in findings:
            self.note(finding)
        self.count += 1
        self.failures += not ok
        print(f"{'ok' if ok else 'not ok'} {self.count} - {name}", flush=True)
        return bool(ok)

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}", flush=True)

    def end(self):
        """The plan line; returns the exit status."""
        print(f"1..{self.count}", flush=True)
        return 1 if self.failures or not self.count else 0
