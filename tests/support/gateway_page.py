# Drives the gateway's page with a browser. Called by browser_gateway.sh: program.
import atexit
import json
import os
import re
import sqlite3
import subprocess
import sys
import time

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

program = sys.argv[1]
gateway = subprocess.Popen([program, "serve", "runs", "--port", "0", "--data-root", "data"], stdout=subprocess.PIPE, text=True)


@atexit.register
def end():
    gateway.kill()
    for run in os.listdir("runs"):
        if os.path.exists(f"runs/{run}/submission.json"):
            subprocess.run([program, "cancel", f"runs/{run}"], capture_output=True)


address = re.search(r"http://\S+", gateway.stdout.readline()).group(0)
token = open("runs/.gateway/admin.token").read().strip()


def browser(dark):
    options = Options()
    for flag in ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1500", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"]:
        options.add_argument(flag)
    if dark:
        options.add_argument("--blink-settings=preferredColorScheme=0")
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    driver.get(address)
    driver.find_element(By.NAME, "token").send_keys(token + Keys.ENTER)
    return driver


def until(what, holds):
    for _ in range(600):
        try:
            if found := holds():
                return found
        except Exception:
            pass  # drawn anew in between
        time.sleep(0.1)
    shot("failed")
    raise AssertionError(f"not so: {what}\n{page.find_element(By.TAG_NAME, 'body').text}")


def shot(name):
    if os.environ.get("SHOTS"):
        page.save_screenshot(os.path.join(os.environ["SHOTS"], name + ".png"))


def has(text):
    return lambda: text in page.find_element(By.TAG_NAME, "body").text


def button(text):
    return until(f"a button '{text}'", lambda: [b for b in page.find_elements(By.TAG_NAME, "button") if b.text == text][0])


def no_errors():
    assert page.execute_script("return window.pageErrors") == []
    severe = [line["message"] for line in page.get_log("browser") if line["level"] == "SEVERE" and "422" not in line["message"]]
    assert not severe, severe


page = browser(dark=False)
atexit.register(lambda: page.quit())
until("an empty list", has("Nothing was submitted yet."))
page.find_element(By.TAG_NAME, "body").send_keys("n")
area = until("the form", lambda: page.find_element(By.TAG_NAME, "textarea"))


def write(job):
    page.execute_script("arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))", area, job)


job = open("job.yaml").read()
write(job.replace("op: split", "op: splitt").replace("path: events.jsonl", "path: /etc/passwd"))
button("Submit").click()
until("faults", has("is outside the folders that may be read"))
assert [b.text for b in page.find_elements(By.CSS_SELECTOR, ".editor pre b")] == ["3●", "7●"]
button("7:17").click()
assert page.execute_script("return arguments[0].value.slice(arguments[0].selectionStart).startsWith('splitt')", area)
shot("faults")
write(job)
button("Show the plan").click()
until("the plan", lambda: len(page.find_elements(By.CSS_SELECTOR, "svg.graph g.node")) >= 8 and has("Rows, about")())
shot("plan")
page.find_element(By.NAME, "ranks_per_node").send_keys("2")
button("Submit").click()
until("a step under way, drawn", lambda: page.find_elements(By.CSS_SELECTOR, "svg.graph g.at-running rect.fill[width]:not([width='0'])"))
until("a curve", lambda: page.find_elements(By.CSS_SELECTOR, "canvas"))
until("both ranks", has("ranks 0-1 work on step 'next'"))
until("its log", lambda: page.find_element(By.CSS_SELECTOR, "pre.text").text)
shot("running")
run = page.execute_script("return location.hash").split("/")[-1]
while not os.path.exists(f"runs/{run}/steps/next/state/checkpoint.h5"):
    time.sleep(0.05)
button("Cancel").click()
until("its end", lambda: page.find_element(By.CSS_SELECTOR, "h1 .state").text == "cancelled")
button("Resume").click()
until("its end", lambda: page.find_element(By.CSS_SELECTOR, "h1 .state").text == "done")
frame = until("the report", lambda: page.find_element(By.CSS_SELECTOR, "iframe.report"))
page.switch_to.frame(frame)
until("its sentences", lambda: len(page.find_elements(By.CSS_SELECTOR, "ol.said li")) >= 3 and page.execute_script("return window.reportErrors.length === 0 && window.reportCharts > 4"))
page.switch_to.default_content()
shot("done")
no_errors()
page.quit()

# A thousand runs: the list is drawn, filtered, and quick enough to be scrolled.
store = sqlite3.connect("runs/.gateway/gateway.sqlite", timeout=20)
with store:
    for k in range(1000):
        store.execute("INSERT INTO runs (id, job, user, submitted, launcher, request, stage, note) VALUES (?, ?, 'eve', '2026-01-01T00:00:00Z', 'local', ?, 'refused', 'made for a test')", (f"old-{k}", f"job-{k}", json.dumps({"job": "x"})))
page = browser(dark=True)
until("a page of runs", lambda: len(page.find_elements(By.CSS_SELECTOR, "tr.pick")) == 100 and has("1,001 in all")())
for _ in range(3):
    button("Older runs").click()
    time.sleep(0.5)
until("all that one page has", lambda: len(page.find_elements(By.CSS_SELECTOR, "tr.pick")) == 1000)
page.find_element(By.TAG_NAME, "body").send_keys("/")
page.switch_to.active_element.send_keys("job-77")
until("the filter", lambda: [r.text.split("\n")[0] for r in page.find_elements(By.CSS_SELECTOR, "tr.pick")][0].startswith("job-77") and len(page.find_elements(By.CSS_SELECTOR, "tr.pick")) == 11)
shot("many_dark")
page.get(address + "#/run/" + run)
until("a run in the dark", lambda: page.find_elements(By.CSS_SELECTOR, "svg.graph g.at-done"))
shot("done_dark")
button("Remove").click()
page.switch_to.alert.dismiss()
assert os.path.isdir("runs/" + run)
button("Remove").click()
page.switch_to.alert.accept()
until("the list without it", lambda: has("1,000 in all")() and not page.find_elements(By.CSS_SELECTOR, f"a[data-run='{run}']"))
assert not os.path.exists("runs/" + run)
no_errors()
print("submitted, planned, watched, cancelled, resumed, read; 1,000 runs listed")
