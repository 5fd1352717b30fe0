// Around htmx: bodies as JSON, the server's words for what came of a click, and a word when the server is gone.
"use strict";

const said = document.getElementById("said");
const lost = document.getElementById("lost");

/** Tells what came of an action; an empty text clears it. */
function say(text, failed = false) {
  said.textContent = text;
  said.classList.toggle("failed", failed);
}

/** The sentence in an answer that is {"detail": …}; empty for any other. */
function detailOf(text) {
  try {
    return JSON.parse(text).detail || "";
  } catch {
    return "";
  }
}

function show(trouble) {
  lost.textContent = trouble;
  lost.hidden = !trouble;
}

document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  if (ctx.sourceElement.hasAttribute("data-json")) {
    ctx.request.headers["Content-Type"] = "application/json";
    ctx.request.body = JSON.stringify(Object.fromEntries(ctx.request.body));
  }
  if (ctx.sourceElement.hasAttribute("data-done")) {
    say("");
  }
});

document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
  const { status } = ctx.response;
  const isAction = ctx.sourceElement.hasAttribute("data-done");
  if (status === 401) {
    show("You are not signed in any more. Load the page again to sign in.");
  } else if (isAction && status >= 400) {
    say(`That did not work: ${detailOf(ctx.text) || `the server answered ${status}`}`, true);
  } else if (isAction) {
    say(ctx.sourceElement.dataset.done);
    document.body.dispatchEvent(new Event("acted"));
  } else {
    show(status >= 400 ? `The page could not be brought up to date: ${detailOf(ctx.text) || status}` : "");
  }
});

document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
  show("The server does not answer. What is shown may be out of date; trying again …");
  if (ctx && ctx.sourceElement.hasAttribute("data-done")) {
    say("That did not work: the server does not answer.", true);
  }
});
