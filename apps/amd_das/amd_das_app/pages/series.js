// The page of a series: its button submits a job, and its progress is shown until the page can show the result.
"use strict";

const POLL_MS = 1000;
const button = document.getElementById("segment");
const progress = document.getElementById("progress");

/** The JSON of an answer; throws the server's own words for a refusal. */
async function read(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Error(body.detail || `the server answered ${response.status}`);
  }
  return body;
}

function describe(job) {
  if (job.state === "running") {
    return `Segmenting: ${Math.max(0, Math.round((Date.now() - Date.parse(job.started)) / 1000))} s …`;
  }
  const place = job.position === 1 ? "next in line" : `number ${job.position} in line`;
  return job.error ? `Will be tried again: ${job.error.detail}` : `Waiting, ${place} …`;
}

/** Polls until the job is over; the page, loaded again, then shows what became of it. */
async function follow(id) {
  button.disabled = true;
  for (;;) {
    let response;
    try {
      response = await fetch(`/jobs/${id}`, { cache: "no-store" });
    } catch {
      progress.textContent = "The server does not answer; trying again …";
    }
    if (response) {
      const job = await read(response);
      if (job.state === "done" || job.state === "failed") {
        location.reload();
        return;
      }
      progress.textContent = describe(job);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function submit() {
  button.disabled = true;
  progress.textContent = "Asking the server …";
  const wish = { store: true, force: button.dataset.again === "true" };
  const response = await fetch(button.dataset.address, { method: "POST", body: JSON.stringify(wish) });
  await follow((await read(response)).id);
}

async function guarded(action) {
  try {
    await action();
  } catch (error) {
    progress.textContent = `That did not work: ${error.message}`;
    button.disabled = false;
  }
}

if (button) {
  button.addEventListener("click", () => guarded(submit));
  if (button.dataset.job) {
    guarded(() => follow(button.dataset.job));
  }
}
