// What the shell leaves to the mouse, and one pixel: small amendments that need none of its templates patched.
"use strict";

// The menu stays open from 1280 px on, where the shell's own styles make room for it; its script asks for one more.
document.addEventListener("alpine:init", () => {
    const shell = window.theme;
    const isWide = () => window.innerWidth >= 1280;
    const isOpen = () => isWide() && localStorage.getItem("sidebarOpen") !== "0";

    window.theme = (...given) => {
        const told = shell(...given);
        told.sidebarOpen = isOpen;
        told.sidebarToggle = function () {
            this.sidebarOpen = !this.sidebarOpen;
            if (isWide()) localStorage.setItem("sidebarOpen", this.sidebarOpen ? "1" : "0");
        };
        told.themeBindings["x-resize.window"] = function () {
            this.sidebarOpen = isOpen();
        };
        return told;
    };
});

// What can be clicked can be reached by Tab and pressed by key, and says what it is.
const MENU = "[x-on\\:click='sidebarToggle()']";
const CLICKED = "span[x-on\\:click], a[x-on\\:click]:not([href]), div.cursor-pointer[x-on\\:click]";

document.addEventListener("DOMContentLoaded", () => {
    for (const one of document.querySelectorAll(CLICKED)) {
        one.setAttribute("role", "button");
        one.tabIndex = 0;
        if (one.matches(MENU)) one.ariaLabel = "Show or hide the menu";
    }
});

document.addEventListener("keydown", (event) => {
    if ((event.key !== "Enter" && event.key !== " ") || !event.target.matches(CLICKED)) return;
    event.preventDefault();
    event.target.click();
    // What opened stands before the button, where Tab would reach it last.
    const opened = event.target.matches(MENU) ? document.getElementById("nav-sidebar") : event.target.previousElementSibling;
    setTimeout(() => opened?.querySelector("a, button")?.focus(), 100);
});
