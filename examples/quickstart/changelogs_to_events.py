#!/usr/bin/python3
"""Turns the changelogs that Debian installs with its packages into events: who uploaded which package when, with what words.

usage: changelogs_to_events.py OUT.jsonl [DOC_FOLDER]

One event per (source package, version): packages built from one source repeat its changelog, which would look like a
trend. E-mail addresses are dropped. Prints the counts; exits 1 when there are fewer than 500 uploads.
"""
import email.utils
import glob
import gzip
import json
import os
import re
import sys

HEAD = re.compile(r"^([a-z0-9][a-z0-9+.-]*) \(([^)]+)\) ")
FOOT = re.compile(r"^ -- (.*?)\s*<[^>]*>  (.+)$")
MAIL = re.compile(r"<?[\w.+-]+@[\w.-]+>?")


def action_of(text):
    """What kind of upload the words describe."""
    low = text.lower()
    if "cve-" in low or "security" in low:
        return "security"
    if "non-maintainer upload" in low:
        return "nmu"
    if "team upload" in low:
        return "team"
    if "new upstream" in low or "new release" in low:
        return "new upstream"
    return "packaging"


def uploads(lines):
    source = version = None
    words = []
    for line in lines:
        if head := HEAD.match(line):
            source, version, words = head[1], head[2], []
        elif (foot := FOOT.match(line)) and source:
            date = email.utils.parsedate_to_datetime(foot[2])
            yield source, version, foot[1].strip(), date, " ".join(words)
            source = None
        elif source and line.strip():
            words.append(MAIL.sub("", line.strip().lstrip("*-+ ")))


def main():
    out, folder = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "/usr/share/doc"
    files = sorted(set(glob.glob(folder + "/*/changelog.Debian.gz") + glob.glob(folder + "/*/changelog.gz")))
    seen, events, repeated, unreadable = set(), [], 0, 0
    for name in files:
        try:
            with gzip.open(name, "rt", encoding="utf-8", errors="replace") as text:
                found = list(uploads(text))
        except (OSError, ValueError, TypeError, EOFError):
            unreadable += 1  # upstream's own changelogs have other forms and dates
            continue
        for source, version, who, date, words in found:
            if (source, version) in seen:
                repeated += 1
                continue
            seen.add((source, version))
            events.append({"ts": int(date.timestamp()), "user": who, "item": source, "action": action_of(words),
                           "text": words[:2000]})
    events.sort(key=lambda e: (e["ts"], e["item"]))
    with open(out + ".partial", "w", encoding="utf-8") as file:
        for event in events:
            file.write(json.dumps(event, ensure_ascii=False) + "\n")
    os.rename(out + ".partial", out)
    print(f"{len(files)} changelogs ({unreadable} of another form), {len(events)} uploads of "
          f"{len({e['item'] for e in events})} source packages by {len({e['user'] for e in events})} people, "
          f"{repeated} repeats by sibling packages left out")
    sys.exit(0 if len(events) >= 500 else 1)


if __name__ == "__main__":
    main()
