"""The page of `usta view` in headless Chromium: loads without a complaint, click, search, zoom, keys; then a screenshot.

Speaks the DevTools protocol over a pipe (file descriptors 3 and 4 of the browser), so it needs nothing but Python.
usage: view_browser.py CHROMIUM PAGE [SCREENSHOT [WIDTHxHEIGHT]]      exit 0: all as it should be
With PAGE.svg beside PAGE.html that drawing is shown as a slide of 1920x1080, too, and taken as SCREENSHOT.slide.png.
"""
import base64
import json
import os
import select
import subprocess
import sys
import tempfile
import time

TIMEOUT_S = 90


class Browser:
    def __init__(self, program, profile):
        to_r, self.to = os.pipe()
        self.back, back_w = os.pipe()
        # the browser reads commands from 3 and writes answers to 4
        args = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-extensions",
                "--no-first-run", "--user-data-dir=" + profile, "--remote-debugging-pipe", "about:blank"]
        script = f'exec "$@" 3<&{to_r} 4>&{back_w}'
        self.process = subprocess.Popen(["bash", "-c", script, "sh"] + args, pass_fds=(to_r, back_w), stderr=subprocess.DEVNULL)
        os.close(to_r)
        os.close(back_w)
        self.n, self.rest, self.events, self.session = 0, b"", [], None

    def message(self, until):
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.back], [], [], max(0, until - time.monotonic()))
            if not ready:
                raise SystemExit("the browser does not answer")
            more = os.read(self.back, 1 << 16)
            if not more:
                raise SystemExit("the browser is gone")
            self.rest += more
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.n += 1
        m = {"id": self.n, "method": method, "params": params}
        if self.session:
            m["sessionId"] = self.session
        data = json.dumps(m).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        until = time.monotonic() + TIMEOUT_S
        while True:
            answer = self.message(until)
            if answer.get("id") == self.n:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def js(self, text):
        r = self.call("Runtime.evaluate", expression=text, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in r:
            raise SystemExit(f"{text}: {r['exceptionDetails']}")
        return r["result"].get("value")

    def open(self, url, width, height):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=url)
        until = time.monotonic() + TIMEOUT_S
        while self.js("document.readyState") != "complete" or self.js("location.href") == "about:blank":
            if time.monotonic() > until:
                raise SystemExit("the page does not load")
            time.sleep(0.05)

    def settle(self):
        self.js("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x, y):
        self.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        self.mouse("mouseReleased", x, y, button="left", clickCount=1)
        self.settle()

    def key(self, key, text=""):
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.settle()


def scale(b):
    return float(b.js("document.getElementById('scene').getAttribute('transform').split('scale(')[1].replace(')', '')"))


def check(what, holds):
    print(("ok - " if holds else "not ok - ") + what)
    check.failed |= not holds


check.failed = False


def walk(b):
    about = "document.getElementById('about').innerText"
    check("the page draws its nodes", b.js("document.querySelectorAll('#scene .n').length") > 0)
    check("it tells of the model first", "OPERATORS" in b.js(about).upper())

    x, y, name = b.js("""(() => { const data = JSON.parse(document.getElementById('data').textContent);
        const drawn = v => document.querySelector(`.e[data-v="${v}"]`);
        for (const g of document.querySelectorAll('.n')) { const r = g.querySelector('rect').getBoundingClientRect(), it = data.items[g.dataset.i];
        if (g.querySelector('[class^=s]') && (it.i || []).concat(it.u || []).some(([, v]) => drawn(v)) && r.top > 20 && r.bottom < innerHeight - 20 && r.left > 0 && r.right < 900)
            return [r.left + r.width / 2, r.top + Math.min(r.height / 2, 14), g.querySelector('.o').textContent]; } })()""")
    b.click(x, y)
    told = b.js(about)
    check("a click on a node tells its operator", told.startswith(name))
    check("with its inputs and outputs", "INPUTS" in told.upper() and "OUTPUTS" in told.upper())
    check("and marks it", b.js("document.querySelectorAll('.n.sel').length") == 1)
    check("and its lines", b.js("document.querySelectorAll('.e.sel').length") > 0)

    before = told
    b.key("ArrowDown")
    check("the arrow goes on to the next", b.js(about) != before and b.js("document.querySelectorAll('.n.sel').length") == 1)
    b.key("Escape")
    check("Esc goes back to the model", b.js("document.querySelectorAll('.n.sel').length") == 0)

    was = scale(b)
    b.key("+", "+")
    check("+ zooms in", scale(b) > was)
    was = scale(b)
    b.mouse("mouseWheel", 300, 300, deltaX=0, deltaY=240)
    b.settle()
    check("the wheel zooms out", scale(b) < was)
    was = b.js("document.getElementById('scene').getAttribute('transform')")
    b.mouse("mousePressed", 40, 400, button="left", buttons=1, clickCount=1)
    b.mouse("mouseMoved", 90, 460, button="left", buttons=1)
    b.mouse("mouseReleased", 90, 460, button="left", clickCount=1)
    b.settle()
    check("dragging moves the drawing", b.js("document.getElementById('scene').getAttribute('transform')") != was)
    b.key("0", "0")
    w, h = b.js("[document.getElementById('scene').getBoundingClientRect().width, document.getElementById('scene').getBoundingClientRect().height]")
    check("0 shows the whole", w <= b.js("innerWidth") + 40 and h <= b.js("innerHeight") + 40)

    b.key("/", "/")
    check("/ goes to the search", b.js("document.activeElement.id") == "search")
    b.call("Input.insertText", text=name.lower()[:6])
    b.settle()
    hits = b.js("document.querySelectorAll('.n.hit').length")
    check("the search finds the operator", hits > 0 and f"{hits} FOUND" in b.js(about).upper())
    b.key("Enter", "\r")
    check("Enter goes to the first", b.js("document.querySelectorAll('.n.sel').length") == 1 and scale(b) >= 0.79)
    b.key("Escape")
    b.key("Escape")
    b.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    check("dark where that is preferred", b.js("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 29)")
    b.call("Emulation.setEmulatedMedia", features=[])

    bad = [e for e in b.events if e.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")
           or e.get("method") == "Runtime.consoleAPICalled" and e["params"]["type"] in ("error", "warning")]
    check("the console is silent", not bad)
    for e in bad:
        print("#", json.dumps(e)[:300])
    loads = [e["params"]["request"]["url"] for e in b.events if e.get("method") == "Network.requestWillBeSent"]
    check("nothing else is loaded", len(loads) == 1)


def shoot(b, path):
    with open(path, "wb") as f:
        f.write(base64.b64decode(b.call("Page.captureScreenshot", format="png")["data"]))


def slide(b, svg, picture, folder):
    """The SVG fitted into a slide, as a program for presentations does it."""
    page = os.path.join(folder, "slide.html")
    with open(page, "w", encoding="utf-8") as f:
        f.write(f'<body style="margin:0"><img src="file://{os.path.abspath(svg)}" style="width:100vw;height:100vh;object-fit:contain">')
    b.open("file://" + page, 1920, 1080)
    b.settle()
    check("the SVG is shown", b.js("document.querySelector('img').naturalWidth") > 100)
    w, h = b.js("[document.querySelector('img').naturalWidth, document.querySelector('img').naturalHeight]")
    check("and fills a good part of a slide", min(1920 / w, 1080 / h) ** 2 * w * h > 0.3 * 1920 * 1080)
    shoot(b, picture)


def main():
    width, height = (int(v) for v in (sys.argv[4] if len(sys.argv) > 4 else "1400x900").split("x"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        b = Browser(sys.argv[1], profile)
        try:
            b.open("file://" + os.path.abspath(sys.argv[2]), width, height)
            b.settle()
            if len(sys.argv) > 3:
                shoot(b, sys.argv[3])
            walk(b)
            svg = os.path.splitext(sys.argv[2])[0] + ".svg"
            if len(sys.argv) > 3 and os.path.exists(svg):
                slide(b, svg, os.path.splitext(sys.argv[3])[0] + ".slide.png", profile)
        finally:
            b.process.terminate()
            b.process.wait()
    return 1 if check.failed else 0


sys.exit(main())
