// Small conveniences of Viaduct's own pages; every page works without them.
"use strict";

document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});

// A button that waits for Klaviyo says so and cannot be pressed twice.
document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button || !button.dataset.busy) return;
    setTimeout(() => {
        button.disabled = true;
        button.textContent = button.dataset.busy;
    });
});

document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copies]");
    if (!button) return;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent.trim());
    button.textContent = "Copied";
});
