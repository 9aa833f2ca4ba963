// Live parts of pages: asked for again every other second, paused by a button, and while nobody looks at the page.
(() => {
  "use strict";
  const LATE = 5; // times as long as usual until the next try, where nobody answers

  const SAID = {
    live: ["sensors", "Live"],
    paused: ["pause_circle", "Paused"],
    hidden: ["pause_circle", "Paused while the page is hidden"],
    ended: ["check_circle", "Nothing changes here any more"],
    lost: ["cloud_off", "No answer: trying again"],
    over: ["sync_problem", "Load the page again"],
  };

  class LivePart {
    constructor(element) {
      this.part = element.querySelector("[data-live-part]");
      this.icon = element.querySelector("[data-live-icon]");
      this.words = element.querySelector("[data-live-words]");
      this.since = element.querySelector("[data-live-since]");
      this.button = element.querySelector("[data-live-switch]");
      this.wait = 1000 * Number(element.dataset.every);
      this.ahead = 1000 * Number(element.dataset.now) - Date.now(); // the server's clock before ours
      this.etag = "";
      this.isPaused = this.isEnded = false;
      this.timer = 0;
      this.element = element;
      this.button.hidden = false;
      this.button.addEventListener("click", () => this.switch());
      document.addEventListener("visibilitychange", () => this.begin());
      window.setInterval(() => this.tick(), 1000);
      this.begin();
    }

    switch() {
      this.isPaused = !this.isPaused;
      this.button.textContent = this.isPaused ? "Go on" : "Pause";
      this.begin();
    }

    begin() {
      if (this.isEnded) return;
      window.clearTimeout(this.timer);
      if (this.isPaused || document.hidden) {
        this.say(this.isPaused ? "paused" : "hidden");
        return;
      }
      this.say("live");
      this.tick();
      this.timer = window.setTimeout(() => this.ask(), this.element.dataset.state === "new" ? this.wait : 0);
      this.element.dataset.state = "begun";
    }

    async ask() {
      let wait = this.wait;
      try {
        const address = new URL(window.location.href);
        address.searchParams.set("live", "1");
        const headers = { "HX-Request": "true", ...(this.etag && { "If-None-Match": this.etag }) };
        const answer = await fetch(address, { headers, cache: "no-store", redirect: "manual" });
        if (answer.type === "opaqueredirect" || [401, 403, 404].includes(answer.status)) {
          this.say("over");
          return;
        }
        if (answer.status !== 304 && !answer.ok) throw new Error(answer.status);
        const text = answer.status === 304 ? null : await answer.text();
        if (this.isPaused || document.hidden) return;
        const isShown = text === null || this.show(text, answer.headers.get("ETag"));
        this.note(answer.headers.get("Date"));
        if (isShown && answer.headers.has("X-Live-Ended")) {
          this.end();
          return;
        }
        this.say("live");
      } catch {
        if (this.isPaused || document.hidden) return;
        this.say("lost");
        wait *= LATE;
      }
      this.timer = window.setTimeout(() => this.ask(), wait);
    }

    end() {
      this.isEnded = true;
      this.button.hidden = true;
      this.say("ended");
    }

    // Returns whether the page shows it now.
    show(text, etag) {
      // What somebody is about to copy stays, and so do the keyboard's place, what has been opened and what has been chosen.
      const selection = window.getSelection();
      if (!selection.isCollapsed && this.part.contains(selection.anchorNode)) return false;
      const focus = this.part.contains(document.activeElement) ? document.activeElement.id : "";
      const opened = [...this.part.querySelectorAll("details[open][id]")].map((one) => one.id);
      const chosen = [...this.part.querySelectorAll("input:checked[id]")].map((one) => one.id);
      this.part.innerHTML = text;
      opened.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
      chosen.forEach((id) => document.getElementById(id)?.setAttribute("checked", ""));
      if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
      this.etag = etag;
      this.tick();
      return true;
    }

    note(date) {
      const now = date ? Date.parse(date) : Date.now() + this.ahead;
      this.ahead = Math.abs(now - Date.now() - this.ahead) > 1500 ? now - Date.now() : this.ahead;
      this.since.textContent = `as of ${clock(now, this.element.dataset.zone)}`;
    }

    say(state) {
      if (this.element.dataset.live === state) return;
      this.element.dataset.live = state;
      [this.icon.textContent, this.words.textContent] = SAID[state];
    }

    tick() {
      if (this.element.dataset.live !== "live") return;
      for (const one of this.part.querySelectorAll("[data-since]")) {
        one.textContent = span((Date.now() + this.ahead) / 1000 - Number(one.dataset.since));
      }
    }
  }

  function clock(now, timeZone) {
    const form = { timeZone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "longOffset" };
    const [time, offset] = new Intl.DateTimeFormat("en-GB", form).format(now).split(/ (?:GMT|UTC)/);
    return `${time} ${timeZone === "UTC" ? timeZone : offset || "+00:00"}`;
  }

  function span(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const two = (number) => String(number).padStart(2, "0");
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
    return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} min`;
  }

  document.querySelectorAll("[data-live]").forEach((element) => new LivePart(element));
})();
