"""axe-core over a page in Chromium: what keeps people with disabilities out."""

from collections.abc import Sequence
from pathlib import Path

from playwright.async_api import Page

AXE = Path(__file__).parents[1] / "npm" / "node_modules" / "axe-core" / "axe.min.js"
COUNTED = ("serious", "critical")
# Colours in between are nobody's: what moves towards an end is waited for, if it does not take for ever. It is asked
# again and again: a page that draws nothing else does not always tell of an end.
MOTION_ENDS = """() => new Promise((ends) => {
    const looks = performance.now();
    const look = () => document.getAnimations().some((one) => one.effect.getTiming().iterations !== Infinity)
        && performance.now() - looks < 2000 ? setTimeout(look, 10) : ends(true);
    look();
})"""
VIOLATIONS = """(rules) => axe.run(document, {resultTypes: ["violations"], ...(rules.length ? {runOnly: rules} : {})})
    .then((result) => result.violations)"""


async def serious_issues(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """A line per serious issue: its rule, what it says, and where. rules: those alone."""
    await page.evaluate(MOTION_ENDS)
    if not await page.evaluate("'axe' in window"):
        # Evaluated by the debugger: the page's policy would refuse a script element.
        await page.evaluate(AXE.read_text(encoding="utf-8") + "; true")
    return [
        f"{one['id']}: {one['help']} at {', '.join(str(node['target'][0]) for node in one['nodes'][:5])}"
        for one in await page.evaluate(VIOLATIONS, list(rules))
        if one["impact"] in COUNTED
    ]
