// Keeps the page of an active run fresh: reads the page again every two seconds and puts its live
// part in place of the present one, until the run has ended. Without JavaScript, the page says how
// things were when it was loaded, and has a link to load it again.
"use strict";
(() => {
    const PAUSE = 2000;
    const part = () => document.getElementById("backup-live");

    function remember(old) {
        const open = [...old.querySelectorAll("details[open][id]")].map((node) => node.id);
        const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
        return () => {
            for (const id of open) {
                document.getElementById(id)?.setAttribute("open", "");
            }
            if (focused) {
                document.getElementById(focused)?.focus({preventScroll: true});
            }
        };
    }

    async function refresh() {
        const response = await fetch(location.href, {headers: {"X-Requested-With": "fetch"}});
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
        while (part().dataset.active === "yes") {
            await new Promise((resume) => setTimeout(resume, PAUSE));
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
