// Keeps a page fresh: reads it again every two seconds, or what its live part names, and puts the
// live part in place of the present one, until a run has ended; the home page goes on. Without JavaScript, the page says how
// things were when it was loaded, and has a link to load it again.
"use strict";
(() => {
    const PAUSE = 2000;
    const part = () => document.getElementById("backup-live");

    // A selector that finds the same element after the next reading.
    function address(node) {
        if (node.id) {
            return `#${CSS.escape(node.id)}`;
        }
        if (node.localName === "summary" && node.parentElement.id) {
            return `#${CSS.escape(node.parentElement.id)} > summary`;
        }
        const link = node.getAttribute("href");
        return link ? `#backup-live a[href="${CSS.escape(link)}"]` : "";
    }

    function remember(old) {
        const open = [...old.querySelectorAll("details[open][id]")].map((node) => node.id);
        const focused = old.contains(document.activeElement) ? address(document.activeElement) : "";
        return () => {
            for (const id of open) {
                document.getElementById(id)?.setAttribute("open", "");
            }
            if (focused) {
                document.querySelector(focused)?.focus({preventScroll: true});
            }
        };
    }

    async function refresh() {
        const response = await fetch(part().dataset.url || location.href, {headers: {"X-Requested-With": "fetch"}});
        const fresh = new DOMParser()
            .parseFromString(await response.text(), "text/html")
            .getElementById("backup-live");
        if (!fresh) {
            // Signed out (a restore replaces accounts too), or the server answers with an error.
            if (response.redirected) {
                location.reload();
            }
            throw new Error(`the server answered ${response.status}`);
        }
        const restore = remember(part());
        const outcome = document.getElementById("backup-spoken");
        part().replaceWith(document.adoptNode(fresh));
        restore();
        const words = part().dataset.spoken;
        if (outcome.textContent !== words) {
            outcome.textContent = words;
        }
    }

    async function follow() {
        const trouble = document.getElementById("backup-trouble");
        let pause = part()?.dataset.url ? 0 : PAUSE;
        while (part()?.dataset.active === "yes") {
            await new Promise((resume) => setTimeout(resume, pause));
            pause = Number(part().dataset.pause) || PAUSE;
            if (document.hidden) {
                continue;
            }
            try {
                await refresh();
                trouble.hidden = true;
            } catch {
                trouble.hidden = false;
            }
        }
    }

    document.addEventListener("DOMContentLoaded", follow);
})();
