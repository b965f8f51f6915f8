"""Going about a page by keyboard alone."""

from playwright.sync_api import Page

CALLED = """() => {
    const one = document.activeElement, label = one.labels && one.labels[0];
    if (one === document.body) return "";
    return (label ? label.innerText : one.ariaLabel || one.innerText || "").replace(/\\s+/g, " ");
}"""


def press(page: Page, name: str) -> None:
    """Go to what is called so, and press Enter."""
    tab_to(page, name)
    page.keyboard.press("Enter")


def tab_to(page: Page, name: str, most: int = 80) -> None:
    """Press Tab until what has the focus is called so, as a screen reader would call it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if name in page.evaluate(CALLED):
            return
    raise AssertionError(f"there is no way by keyboard to {name!r}")
