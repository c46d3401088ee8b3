"""A real browser without a window: what it makes of a page."""

import html
import json
import re
import shutil
import subprocess

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no browser: apt-get install chromium")

DRAWN = """JSON.stringify([
    page.documentElement.scrollWidth,
    [...page.querySelectorAll("svg")].map(each => {
        const box = each.getBoundingClientRect();
        return box.width > 100 && box.height > 50 && each.querySelectorAll("path").length > 5;
    }),
    getComputedStyle(page.body).color.match(/[0-9]+/g).slice(0, 3).every(each => each < 128) ? "dark" : "light",
])"""


def in_browser(markup, tmp_path, width, asked, scheme="light"):
    """What JavaScript finds on a page in a frame of a width: a window of its own is never that narrow.

    Fails if the browser has anything to say in its console.
    """
    path = tmp_path / "frame.html"
    frame = f'<title>?</title><iframe width="{width}" height="800" srcdoc="{html.escape(markup)}"></iframe>'
    script = f"<script>onload = () => {{ const page = frames[0].document; document.title = {asked} }}</script>"
    path.write_text(frame + script, encoding="utf-8")
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    flags += ["--enable-logging=stderr", f"--blink-settings=preferredColorScheme={int(scheme == 'light')}"]
    command = [CHROMIUM, *flags, "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ":CONSOLE" not in done.stderr, done.stderr
    (found,) = re.findall(r"<title>(.*?)</title>", done.stdout.split("<iframe")[0])
    return html.unescape(found)


def drawn_in_browser(markup, tmp_path, width, scheme="light"):
    """The width that a page takes, for each SVG whether it is drawn, and whether the ink is `dark` or `light`."""
    return json.loads(in_browser(markup, tmp_path, width, DRAWN, scheme))
